//! Reads `[offer]`: who may have it, for what, and what it costs.

use super::parse::{not_empty, word};
use super::section::{Section, clipped};
use crate::offer::{Currency, EvidenceKind, Minor, Period, Vat};
use crate::{Fee, Offer, Place, Price, PriceModel, Purpose};

/// A trust domain (SPIFFE-ID §2.1) or `*`.
fn recipient(text: &str) -> Result<String, String> {
    let domain = (1..=255).contains(&text.len())
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        });
    if domain || text == "*" { Ok(text.to_owned()) } else { Err(format!("names `{}`", clipped(text))) }
}

pub(super) fn offer(mut at: Section<'_, '_>) -> Option<Offer> {
    let purposes = at.list("purposes", true, "write a list such as [\"academic-research\"]", Purpose::parse);
    let domains = "write trust domains such as \"hku.hk\", or \"*\" for everybody";
    let recipients = at.list("recipients", true, domains, recipient);
    let places = at.list("places", true, "write places such as \"HK\", \"CN\" or \"CN-440300\"", Place::parse);
    let empty = [
        ("purposes", purposes.as_ref().is_some_and(Vec::is_empty)),
        ("recipients", recipients.as_ref().is_some_and(Vec::is_empty)),
        ("places", places.as_ref().is_some_and(Vec::is_empty)),
    ];
    for (key, _) in empty.into_iter().filter(|(_, empty)| *empty) {
        at.fault(key, "is empty", "name at least one, or nobody could accept the offer");
    }
    let price = at
        .section(
            "price",
            true,
            "write { model = \"per_gib\", amount = \"120000\", currency = \"CNY\" } or { model = \"free\" }",
        )
        .and_then(price);
    let fee = match at.section("fee", false, "write { rate_ppm = 100000 } or { amount = \"100\" }") {
        Some(section) => fee(section).map(Some),
        None => Some(None),
    };
    let vat = match at.section("vat", false, "write { rate_ppm = 60000 } for six per cent within the price") {
        Some(section) => vat(section).map(Some),
        None => Some(None),
    };
    let evidence = at.optional("evidence", "write \"sent\" or \"receipt\"", word::<EvidenceKind>);
    let onward = at.optional("onward", "write \"none\" or what the licence allows", not_empty);
    let retention_days = at.count("retention_days", false, 36_500);
    if retention_days == Some(0) {
        at.fault("retention_days", "is 0", "write at least one day, or leave it out for no limit");
    }
    at.finish();
    Some(Offer {
        purposes: purposes?,
        recipients: recipients?,
        places: places?,
        price: price?,
        fee: fee?,
        vat: vat?,
        evidence: evidence.unwrap_or_default(),
        onward: onward.unwrap_or_else(|| "none".to_owned()),
        retention_days: retention_days.and_then(|days| u32::try_from(days).ok()),
    })
}

const AMOUNT: &str = "write minor units (fen, cents) as up to 18 digits in quotes, \"120000\"";

fn amount(text: &str) -> Result<Minor, String> {
    Minor::try_from(text.to_owned()).map_err(|_| format!("is `{}`", clipped(text)))
}

fn price(mut at: Section<'_, '_>) -> Option<Price> {
    let models = "write \"per_pull\", \"per_gib\", \"per_million_rows\", \"subscription\" or \"free\"";
    let model = at.parsed("model", models, word::<PriceModel>);
    let given = at.optional("amount", AMOUNT, amount);
    let currency = at.optional("currency", "write \"CNY\" or \"HKD\"", word::<Currency>).unwrap_or(Currency::Cny);
    let period = at.optional("period", "write \"month\" or \"year\"", word::<Period>);
    let has = |key: &str| at.table().contains_key(key);
    match model {
        Some(PriceModel::Free) if given.is_some_and(|amount| amount.0 != 0) => {
            at.fault("amount", "is not 0, but the model is `free`", "leave the amount out, or choose another model");
        }
        Some(PriceModel::Free) | None => {}
        Some(_) if !has("amount") => at.fault("amount", "is missing", AMOUNT),
        Some(_) => {}
    }
    match model {
        Some(PriceModel::Subscription) if !has("period") => {
            at.fault("period", "is missing", "write period = \"month\" or \"year\" for a subscription");
        }
        Some(PriceModel::Subscription) | None => {}
        Some(_) if has("period") => {
            at.fault("period", "belongs to subscriptions only", "remove it");
        }
        Some(_) => {}
    }
    at.finish();
    Some(Price { model: model?, amount: given.unwrap_or_default(), currency, period })
}

fn fee(mut at: Section<'_, '_>) -> Option<Fee> {
    let rate = at.count("rate_ppm", false, 1_000_000).and_then(|rate| u32::try_from(rate).ok());
    let fixed = at.optional("amount", AMOUNT, amount);
    let both = (at.table().contains_key("rate_ppm"), at.table().contains_key("amount"));
    match both {
        (true, true) => at.fault("amount", "stands beside rate_ppm", "keep one of the two"),
        (false, false) => at.fault("rate_ppm", "is missing", "write rate_ppm = 100000 or amount = \"100\""),
        _ => {}
    }
    at.finish();
    rate.map(|rate_ppm| Fee::Rate { rate_ppm }).or(fixed.map(|amount| Fee::Fixed { amount }))
}

fn vat(mut at: Section<'_, '_>) -> Option<Vat> {
    let rate = at.count("rate_ppm", true, 1_000_000).and_then(|rate| u32::try_from(rate).ok());
    at.finish();
    rate.map(|rate_ppm| Vat { rate_ppm })
}
