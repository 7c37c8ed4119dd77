//! A statement on paper: A4 across, three scripts, its digest and the page on every foot.

use catalog::Digest;
use gateway_api::statement::{Line, Statement, StatementSet};
use serde_json::Value;

use crate::error::CommandError;
use crate::output::{count, money};
use crate::pdf::{Document, Script};

/// A4 across, in points.
const PAGE: (f32, f32) = (842.0, 595.0);
const MARGIN: f32 = 36.0;
const BOTTOM: f32 = PAGE.1 - 52.0;
const TEXT: f32 = 8.0;
const LEADING: f32 = 11.0;
/// Where the names of parties begin, behind their ids.
const INDENT: f32 = MARGIN + 78.0;

/// Heading in three scripts, width, whether numbers stand to the right.
const COLUMNS: [(&str, &str, &str, f32, bool); 11] = [
    ("Month", "月份", "月份", 42.0, false),
    ("Dataset", "資料集", "数据集", 112.0, false),
    ("Agreement", "協議", "协议", 92.0, false),
    ("Provider", "提供方", "提供方", 60.0, false),
    ("Consumer", "使用方", "使用方", 60.0, false),
    ("Rows", "行數", "行数", 54.0, true),
    ("Unit bytes", "計費位元組", "计费字节", 66.0, true),
    ("On the wire", "傳輸位元組", "传输字节", 66.0, true),
    ("Receipted", "已簽收", "已签收", 62.0, true),
    ("Amount", "金額", "金额", 78.0, true),
    ("Fee", "服務費", "服务费", 78.0, true),
];

/// The digest of what the statement says: SHA-256 of its RFC 8785 form.
pub fn digest(set: &StatementSet) -> Result<Digest, CommandError> {
    let bytes = serde_json::to_value(set).and_then(|value| serde_json_canonicalizer::to_vec(&value));
    let bytes =
        bytes.map_err(|error| CommandError::Integrity(format!("the statement has no canonical form: {error}")))?;
    Ok(Digest::of(&bytes))
}

/// The statement as a PDF, written with the font in `font`. `parties` holds the names of everybody by id.
pub fn pdf(set: &StatementSet, parties: &Value, font: &[u8]) -> Result<Vec<u8>, CommandError> {
    let digest = digest(set)?;
    let mut sheet = Sheet { document: Document::new(PAGE, font)?, y: 0.0 };
    sheet.turn();
    sheet.head(set, parties);
    if set.statements.is_empty() {
        sheet.triple(TEXT, ("Nothing was delivered.", "沒有交付。", "没有交付。"));
    }
    for statement in &set.statements {
        sheet.table(statement, &set.period);
    }
    sheet.payments(&set.payments);
    let pages = sheet.document.pages();
    for page in 0..pages {
        let foot = PAGE.1 - 24.0;
        sheet.document.line(page, (MARGIN, foot - 12.0), (PAGE.0 - MARGIN, foot - 12.0));
        let text = format!("Statement digest 結算單摘要 结算单摘要  {digest}");
        sheet.document.text(page, Script::Simplified, 7.0, (MARGIN, foot), &text);
        let number = format!("{} / {pages}", page + 1);
        let width = sheet.document.width(Script::Simplified, TEXT, &number);
        sheet.document.text(page, Script::Simplified, TEXT, (PAGE.0 - MARGIN - width, foot), &number);
    }
    let title = format!("Statement {} {}", set.participant, set.period);
    let id: String = digest.hex().chars().take(32).collect();
    sheet.document.finish(&title, &id)
}

struct Sheet<'a> {
    document: Document<'a>,
    /// Where the next line goes.
    y: f32,
}

impl Sheet<'_> {
    fn turn(&mut self) {
        self.document.page();
        self.y = MARGIN + LEADING;
    }

    fn page(&self) -> usize {
        self.document.pages().saturating_sub(1)
    }

    /// Room for `height`, on a new page if need be; says whether it is one.
    fn room(&mut self, height: f32) -> bool {
        let full = self.y + height > BOTTOM;
        if full {
            self.turn();
        }
        full
    }

    fn write(&mut self, script: Script, size: f32, x: f32, text: &str) -> f32 {
        let (page, y) = (self.page(), self.y);
        self.document.text(page, script, size, (x, y), text);
        x + self.document.width(script, size, text)
    }

    /// The same in three scripts, each in its own letter forms.
    fn triple(&mut self, size: f32, (en, hant, hans): (&str, &str, &str)) {
        let x = self.write(Script::Simplified, size, MARGIN, en);
        let x = self.write(Script::Traditional, size, x + size, hant);
        self.write(Script::Simplified, size, x + size, hans);
        self.y += size * 1.5;
    }

    fn head(&mut self, set: &StatementSet, parties: &Value) {
        self.y += 8.0;
        self.triple(18.0, ("Statement", "結算單", "结算单"));
        self.write(Script::Simplified, 10.0, MARGIN, &format!("{}  {}  Asia/Shanghai", set.participant, set.period));
        self.y += 18.0;
        self.triple(9.0, ("Parties", "各方", "各方"));
        for (id, party) in parties.as_object().into_iter().flatten() {
            self.room(LEADING);
            let mut x = self.write(Script::Simplified, TEXT, MARGIN, id).max(INDENT - TEXT) + TEXT;
            let name = |member: &str| party.get("names").and_then(|names| names.get(member)).and_then(Value::as_str);
            let pieces = [
                (name("en"), Script::Simplified),
                (name("zh-Hant"), Script::Traditional),
                (name("zh-Hans"), Script::Simplified),
                (party.get("registration").and_then(Value::as_str), Script::Simplified),
            ];
            for (piece, script) in pieces {
                if let Some(piece) = piece {
                    x = self.flow(script, x, &crate::output::clean(piece)) + TEXT;
                }
            }
            self.y += LEADING;
        }
        self.y += LEADING;
    }

    /// Writes `text` from `x` on, on new lines behind the indent where it does not fit. Gives where it ends.
    fn flow(&mut self, script: Script, x: f32, text: &str) -> f32 {
        let room = PAGE.0 - MARGIN;
        let mut x = x;
        if x > INDENT && x + self.document.width(script, TEXT, text) > room {
            self.y += LEADING;
            self.room(LEADING);
            x = INDENT;
        }
        let lines = self.wrapped(text, room - x);
        let last = lines.len().saturating_sub(1);
        for (number, line) in lines.iter().enumerate() {
            let end = self.write(script, TEXT, x, line);
            if number == last {
                return end;
            }
            self.y += LEADING;
            self.room(LEADING);
            x = INDENT;
        }
        x
    }

    fn columns(&mut self) {
        for (place, script) in [Script::Simplified, Script::Traditional, Script::Simplified].into_iter().enumerate() {
            let mut x = MARGIN;
            for (en, hant, hans, width, right) in COLUMNS {
                let text = [en, hant, hans].get(place).copied().unwrap_or_default();
                let indent = if right { width - 4.0 - self.document.width(script, 7.0, text) } else { 0.0 };
                self.write(script, 7.0, x + indent, text);
                x += width;
            }
            self.y += 9.0;
        }
        self.rule();
    }

    fn rule(&mut self) {
        let (page, y) = (self.page(), self.y - 6.0);
        self.document.line(page, (MARGIN, y), (PAGE.0 - MARGIN, y));
        self.y += 6.0;
    }

    fn table(&mut self, statement: &Statement, period: &str) {
        self.room(LEADING * 6.0);
        self.columns();
        for line in &statement.lines {
            let cells = cells(line, statement.currency.as_str(), period);
            let wrapped: Vec<Vec<String>> =
                cells.iter().zip(COLUMNS).map(|(cell, column)| self.wrapped(cell, column.3 - 4.0)).collect();
            let rows = wrapped.iter().map(Vec::len).max().unwrap_or(1);
            let height = wrapped.iter().fold(0.0_f32, |most, cell| most.max(cell.iter().map(|_| LEADING).sum()));
            if self.room(height) {
                self.columns();
            }
            for row in 0..rows {
                let mut x = MARGIN;
                for (cell, (.., width, right)) in wrapped.iter().zip(COLUMNS) {
                    if let Some(text) = cell.get(row) {
                        let room = width - 4.0 - self.document.width(Script::Simplified, TEXT, text);
                        self.write(Script::Simplified, TEXT, if right { x + room } else { x }, text);
                    }
                    x += width;
                }
                self.y += LEADING;
            }
        }
        self.room(LEADING * 2.0);
        self.rule();
        let total = money(&statement.total, statement.currency.as_str());
        self.triple(9.0, (&format!("Total {total}"), &format!("合計 {total}"), &format!("合计 {total}")));
        self.tax(statement);
        self.y += LEADING;
    }

    /// The tax within the total, and of how many lines it is not known.
    fn tax(&mut self, statement: &Statement) {
        let unknown = statement.lines.iter().filter(|line| line.vat != "included").count();
        if unknown < statement.lines.len() {
            let tax: i128 = statement.lines.iter().filter_map(|line| line.tax.parse::<i128>().ok()).sum();
            let tax = money(&tax.to_string(), statement.currency.as_str());
            self.room(LEADING);
            self.triple(
                TEXT,
                (&format!("VAT within it {tax}"), &format!("其中增值稅 {tax}"), &format!("其中增值税 {tax}")),
            );
        }
        if unknown > 0 {
            let en = format!("VAT in or ex unknown for {unknown} lines: not configured");
            let hant = format!("{unknown} 項是否含增值稅未知：未設定");
            let hans = format!("{unknown} 项是否含增值税未知：未配置");
            self.room(LEADING);
            self.triple(TEXT, (&en, &hant, &hans));
        }
    }

    /// What came in: one line each, under its own heading.
    fn payments(&mut self, payments: &[Value]) {
        if payments.is_empty() {
            return;
        }
        self.room(LEADING * 3.0);
        self.triple(9.0, ("Payments", "付款", "付款"));
        for payment in payments {
            let text = |pointer: &str| crate::output::plain(payment.pointer(pointer).unwrap_or(&Value::Null));
            let cells = [
                (text("/on"), 62.0),
                (text("/state"), 56.0),
                (text("/consumer"), 80.0),
                (money(&text("/paid/amount"), &text("/paid/currency")), 110.0),
                (money(&text("/settled/amount"), &text("/settled/currency")), 110.0),
                (format!("{} {}", text("/shown/kind"), text("/shown/reference")), 180.0),
                (text("/agreement"), 172.0),
            ];
            let wrapped: Vec<Vec<String>> = cells.iter().map(|(cell, width)| self.wrapped(cell, width - 4.0)).collect();
            let rows = wrapped.iter().map(Vec::len).max().unwrap_or(1);
            self.room(wrapped.iter().fold(0.0_f32, |most, cell| most.max(cell.iter().map(|_| LEADING).sum())));
            for row in 0..rows {
                let mut x = MARGIN;
                for (cell, (_, width)) in wrapped.iter().zip(&cells) {
                    if let Some(text) = cell.get(row) {
                        self.write(Script::Simplified, TEXT, x, text);
                    }
                    x += width;
                }
                self.y += LEADING;
            }
        }
        self.y += LEADING;
    }

    /// Cut into pieces that fit `width`: ids have no spaces to break at.
    fn wrapped(&self, text: &str, width: f32) -> Vec<String> {
        let mut lines = vec![String::new()];
        for c in text.chars() {
            let Some(line) = lines.last_mut() else { break };
            line.push(c);
            if self.document.width(Script::Simplified, TEXT, line) > width && line.chars().count() > 1 {
                line.pop();
                lines.push(c.to_string());
            }
        }
        lines
    }
}

/// A line that is of another month than the statement says so.
fn cells(line: &Line, currency: &str, period: &str) -> [String; 11] {
    [
        line.service_period.clone().unwrap_or_else(|| period.to_owned()),
        format!("{}@{}", line.dataset, line.version),
        line.agreement.to_string(),
        line.provider.to_string(),
        line.consumer.to_string(),
        count(line.rows),
        count(line.unit_bytes),
        count(line.wire_bytes),
        count(line.evidence.receipt),
        money(&line.amount, currency),
        money(&line.fee, currency),
    ]
}
