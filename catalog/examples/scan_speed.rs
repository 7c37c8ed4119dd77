//! How fast one core scans text for identifiers. Prints megabytes a second for prose of three scripts with an identifier in
//! every fourth value, for prose without any, and for columns that hold nothing but numbers. Time is that of the processor
//! (Linux), so that whatever else runs on the machine takes no part.
//!
//! `cargo run --release -p catalog --example scan_speed`

use std::time::Duration;

use catalog::scan::{Column, Scanner};
use jiff::civil::Date;

/// Text of each sort.
const BYTES: usize = 64 << 20;
/// Each sort is scanned so often; the best counts.
const TURNS: usize = 5;

const PROSE: [&str; 6] = [
    "數據經紀在前海合作區設立專業機構，試點提供跨境數據庫服務，鼓勵建立人工智能訓練數據資源庫。",
    "新年第一天，他们在图书馆里讨论了 2026 年的计划，决定把第 12 章和第 13 章合并成一章来写。",
    "The corpus was collected between 2019 and 2024 from public sources; each sentence was checked by two people. ",
    "呢個語料庫嘅句子係由志願者讀出嚟嘅，每句大約五秒，總共一百二十個鐘，分開三個部分。",
    "Prices rose by 3.5% in the second quarter (from 102.4 to 106.0), while volumes fell slightly, as Table 7 shows. ",
    "该模型在八个基准上进行了评测，平均得分为 71.3，比上一版本高出 2.4 个百分点，推理速度提高了一倍。",
];

const IDENTIFIERS: [&str; 8] = [
    "身份证440305190102030017，",
    "HKID A123456(3), ",
    "电话13912345678，",
    "請致電 5123 4567，",
    "卡号 6222 0000 0000 0000 012，",
    "mail li.test@example.hku.hk, ",
    "统一社会信用代码91440300MA5FAKE086，",
    "from 203.0.113.7, ",
];

/// Values of prose, one in `every` with an identifier (none if 0).
fn prose(every: usize) -> Vec<String> {
    let (mut values, mut bytes, mut number) = (Vec::new(), 0, 0usize);
    while bytes < BYTES {
        let mut value = String::new();
        for part in 0..3 {
            value.push_str(PROSE.get((number * 5 + part * 7 + number / 3) % PROSE.len()).copied().unwrap_or_default());
        }
        if every > 0 && number.is_multiple_of(every) {
            value.push_str(IDENTIFIERS.get(number / every % IDENTIFIERS.len()).copied().unwrap_or_default());
        }
        bytes += value.len();
        number += 1;
        values.push(value);
    }
    values
}

/// Values that are one number each.
fn numbers(make: impl Fn(u64) -> String) -> Vec<String> {
    let (mut values, mut bytes, mut state) = (Vec::new(), 0, 1u64);
    while bytes < BYTES / 4 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = make(state >> 8);
        bytes += value.len();
        values.push(value);
    }
    values
}

/// How long this thread has had a processor: the first field of its `schedstat`, in nanoseconds (proc(5)).
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

fn measure(name: &str, column: &str, values: &[String]) {
    let mut scanner = Scanner::new(Date::constant(2026, 11, 28));
    let column = Column::named(column);
    let bytes: usize = values.iter().map(String::len).sum();
    let (mut best, mut found) = (f64::MAX, 0);
    for _ in 0..TURNS {
        found = 0;
        let since = busy();
        for value in values {
            found += scanner.scan(column, value.as_bytes()).len();
        }
        best = best.min(busy().saturating_sub(since).as_secs_f64());
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let speed = bytes as f64 / 1e6 / best;
    println!("{name:42} {:6} MB {:9} values {found:9} found {speed:7.0} MB/s", bytes / 1_000_000, values.len());
}

fn main() {
    measure("prose, an identifier in every 4th value", "text", &prose(4));
    measure("prose without identifiers", "text", &prose(0));
    measure(
        "identity numbers only",
        "id_no",
        &numbers(|n| format!("44030519{:02}{:02}{:02}{:04}", 50 + n % 40, 1 + n % 12, 1 + n % 28, n % 9973)),
    );
    measure("mobile numbers only", "phone", &numbers(|n| format!("139{:08}", n % 100_000_000)));
    measure("digests only", "sha256", &numbers(|n| format!("{n:016x}{:016x}", n.rotate_left(17))));
}
