//! For tests: terms that they change to their needs.

#![allow(clippy::unwrap_used)]

use catalog::offer::{Currency, Minor};
use catalog::{EvidenceKind, Offer, Price, PriceModel, Purpose};

/// At one minor unit a gibibyte, without fee and tax.
pub fn offer(currency: Currency) -> Offer {
    Offer {
        purposes: vec![Purpose::parse("academic-research").unwrap()],
        recipients: vec!["hku.hk".to_owned()],
        places: Vec::new(),
        price: Price { model: PriceModel::PerGib, amount: Minor(1), currency, period: None },
        fee: None,
        vat: None,
        evidence: EvidenceKind::Sent,
        onward: "none".to_owned(),
        retention_days: None,
    }
}
