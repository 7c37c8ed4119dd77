//! The agreement under which examples that measure put their leases.

use catalog::offer::Currency;
use catalog::{Agreement, AgreementState, EvidenceKind, Fee, Minor, Offer, Price, PriceModel};
use gateway_store::{DocKind, Write};
use jiff::Timestamp;

/// Records the agreement that every lease is under.
pub fn agreement(now: Timestamp) -> Result<Write, crate::Failure> {
    let terms = Offer {
        purposes: vec!["academic-research".parse()?],
        recipients: vec!["hku.hk".to_owned()],
        places: Vec::new(),
        price: Price { model: PriceModel::PerGib, amount: Minor(120_000), currency: Currency::Cny, period: None },
        fee: Some(Fee::Rate { rate_ppm: 100_000 }),
        vat: None,
        evidence: EvidenceKind::Sent,
        onward: "none".to_owned(),
        retention_days: None,
    };
    let agreement = Agreement {
        id: "a-1".parse()?,
        participant: "hku".parse()?,
        dataset: "yue-speech".parse()?,
        purpose: "academic-research".parse()?,
        offer: terms.digest(),
        terms,
        provider: "qianhai".parse()?,
        broker: "lin-data".parse()?,
        state: AgreementState::Active,
        foreign_authority_request: false,
        at: now,
        ended_at: None,
    };
    let body = serde_json::to_vec(&agreement)?;
    Ok(Write::PutDoc { kind: DocKind::Agreement, id: "a-1".to_owned(), body })
}
