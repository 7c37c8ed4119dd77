//! What the quality report costs at registration: `cargo run --release -p catalog --example quality_share`.
//!
//! Times the whole way of a corpus (convert, lay out and hash, inspect), and inspection with and without the report.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use catalog::admit::{Admitted, admit, prepare};
use catalog::inspect::Inspector;
use catalog::layout::Limits;

/// Rows of each corpus.
const ROWS: u64 = 200_000;

/// A number that depends on `seed` and looks random (SplitMix64).
fn random(seed: u64) -> u64 {
    let value = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Short sentences, about a tenth of them repeated.
fn sentences(words: &[&str]) -> String {
    let mut text = String::from("id,topic,sentence\n");
    for row in 0..ROWS {
        let seed = if row % 10 == 0 { row / 2 } else { row };
        let _ = write!(text, "{row},topic{},", random(row) % 7);
        for word in 0..24 {
            let at = usize::try_from(random(seed * 100 + word) % words.len() as u64).unwrap();
            let _ = write!(text, "{} ", words.get(at).unwrap());
        }
        text.push('\n');
    }
    text
}

fn numbers() -> String {
    let mut text = String::from("a,b,c,d\n");
    for row in 0..ROWS {
        let _ = writeln!(text, "{row},{},{},{}", random(row), random(row) % 100, random(row) % 2);
    }
    text
}

fn inspected(stored: &[u8], admitted: &Admitted, report: bool) -> Duration {
    let bytes = bytes::Bytes::copy_from_slice(stored);
    let started = Instant::now();
    let inspector = Inspector::new(None).registered_on(jiff::civil::date(2026, 11, 28));
    let mut inspector = if report { inspector } else { inspector.without_report() };
    inspector.add("x.parquet", bytes, admitted, &[]).unwrap();
    std::hint::black_box(inspector.finish());
    started.elapsed()
}

fn main() {
    let chinese =
        ["資料", "出口", "政策", "检查", "记录", "粵語", "嘅", "語料", "訓練", "跨境", "香港", "前海", "数据"];
    let english = ["data", "export", "policy", "checks", "the", "record", "of", "corpus", "training", "border", "and"];
    println!("corpus      text MB  register s  report s  share  report MB/s");
    for (name, text) in [("chinese", sentences(&chinese)), ("english", sentences(&english)), ("numbers", numbers())] {
        let limits = Limits::default();
        let started = Instant::now();
        let mut stored = Vec::new();
        prepare("x.csv", text.as_bytes(), &limits, &mut stored).unwrap();
        let admitted = admit(&stored, &limits).unwrap();
        let before = started.elapsed();
        // The best of three: what else runs on the machine only adds.
        let best = |report| (0..3).map(|_| inspected(&stored, &admitted, report)).min().unwrap();
        let (with, without) = (best(true), best(false));
        let report = with.saturating_sub(without);
        let whole = before + with;
        let megabytes = text.len() as f64 / 1e6;
        println!(
            "{name:10} {megabytes:8.1} {:11.2} {:9.2} {:5.1}% {:12.0}",
            whole.as_secs_f64(),
            report.as_secs_f64(),
            100.0 * report.as_secs_f64() / whole.as_secs_f64(),
            megabytes / report.as_secs_f64().max(1e-9),
        );
    }
}
