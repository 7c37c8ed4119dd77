//! The face of a bundle: who claims what, and what shows it, in three scripts.

use std::fmt::Write as _;

use super::contents::{Claim, Statements};
use crate::incentive::Programme;

/// Fen as yuan: `50000.00`.
fn yuan(fen: &str) -> String {
    let padded = format!("{fen:0>3}");
    let (whole, minor) = padded.split_at(padded.len() - 2);
    format!("{whole}.{minor}")
}

/// Parts per million as percent: `100.0000`.
pub(super) fn percent(ppm: u32) -> String {
    format!("{}.{:04}", ppm / 10_000, ppm % 10_000)
}

/// The text of `FACE.txt`. `witnessed` is the share that both sides of the border cosigned in time, in parts per million.
pub(super) fn face(claim: &Claim, statements: &Statements, programme: &Programme, witnessed: u32) -> String {
    let names = statements.parties.get(&claim.participant).map(|party| {
        let names: Vec<&str> = party.names.values().map(String::as_str).collect();
        let registration = party.registration.as_deref().unwrap_or("-");
        format!("{} ({registration})", names.join(" / "))
    });
    let title = &programme.terms.title;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // A string takes every line.
        let _ = writeln!(text, "{name}: {value}");
    };
    line("Claim 申領 申领", claim.id.clone());
    line("Participant 申領人 申领人", format!("{}, {}", claim.participant, names.unwrap_or_default()));
    line("Programme 計劃 计划", format!("{}: {} / {} / {}", claim.programme, title.en, title.hant, title.hans));
    line("Year 年度 年度", claim.year.to_string());
    line("Base year 基準年度 基准年度", claim.base_year.to_string());
    line("Base 基數 基数", format!("CNY {}", yuan(&claim.base)));
    line("Amount, at most 金額上限 金额上限", format!("CNY {}", yuan(&claim.amount)));
    line("Receipted 經用戶簽收 经用户签收", format!("{} %", percent(claim.shares.receipted)));
    line("Witnessed in time on both sides 兩地及時見證 两地及时见证", format!("{} %", percent(witnessed)));
    line("Not affiliated 非關聯方 非关联方", format!("{} %", percent(claim.shares.non_affiliated)));
    text
}
