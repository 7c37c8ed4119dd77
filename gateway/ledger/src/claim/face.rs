//! The face of a bundle: who claims what, and what shows it, in three scripts.

use std::fmt::Write as _;

use super::annex::Closed;
use super::contents::{Claim, Statements};
use crate::incentive::{Programme, Side};
use crate::statement::TaxKnown;

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

/// What a verifier works out beside the claim.
pub(super) struct Shown {
    /// Share that both sides of the border cosigned in time, parts per million.
    pub witnessed: u32,
    /// Share shown by receipts whose signatures are opened in the bundle, parts per million.
    pub signed: u32,
    /// What closed months say.
    pub closed: Closed,
    /// Whose amounts count.
    pub side: Side,
}

/// Whether the tax within the claimed amounts is known, in three scripts.
fn vat(statements: &Statements, side: Side, year: i16) -> &'static str {
    let mut lines = statements.own(side, year).map(|(sold, _)| sold.vat == TaxKnown::Included).peekable();
    if lines.peek().is_some() && lines.all(|known| known) {
        "within the amounts 含於金額 含于金额"
    } else {
        "in or ex unknown, not configured 是否含稅未知 是否含税未知"
    }
}

/// The text of `FACE.txt`.
pub(super) fn face(claim: &Claim, statements: &Statements, programme: &Programme, shown: &Shown) -> String {
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
    line("VAT 增值稅 增值税", vat(statements, shown.side, claim.base_year).to_owned());
    line("Receipted 經用戶簽收 经用户签收", format!("{} %", percent(claim.shares.receipted)));
    line("Receipted, signature inside 簽名在內 签名在内", format!("{} %", percent(shown.signed)));
    line("Witnessed in time on both sides 兩地及時見證 两地及时见证", format!("{} %", percent(shown.witnessed)));
    for (name, share) in [
        ("Not affiliated 非關聯方 非关联方", claim.shares.non_affiliated),
        ("Matched by payments 有付款憑證 有付款凭证", claim.shares.payment_matched),
        ("Without round trips in 90 days 九十日內無回購 九十日内无回购", claim.shares.no_round_trip),
        ("Five largest parties 前五大交易方 前五大交易方", claim.shares.top_five),
        ("In closed months, under their roots 已結算月份 已结算月份", claim.shares.closed),
    ] {
        line(name, format!("{} %", percent(share)));
    }
    let months = shown.closed.through.map_or("-".to_owned(), |(first, last)| {
        let claimed = statements.in_closed(shown.side, claim.base_year, &shown.closed);
        let (claimed, posted) = (yuan(&claimed.to_string()), yuan(&shown.closed.posted.to_string()));
        format!("{first} - {last}: CNY {claimed} / {posted}")
    });
    line("Lines / posted in closed months 明細 / 已結算 明细 / 已结算", months);
    text
}
