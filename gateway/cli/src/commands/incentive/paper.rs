//! The statement of a claim on paper: the same lines as `statements.json`, for whoever reads on paper. Nothing rests on it.

use std::path::Path;

use gateway_api::statement::{Evidence as Shown, Line, Statement, StatementSet};
use gateway_ledger::claim::{Claim, Evidence, Sold, Statements};
use gateway_ledger::statement::TaxKnown;
use serde_json::{Value, json};

use crate::commands::statement::pdf;
use crate::error::CommandError;

/// The PDF, or nothing where no font can be found and none was named.
pub fn statement(
    evidence: &Evidence,
    font: Option<&Path>,
    home: Option<&Path>,
) -> Result<Option<Vec<u8>>, CommandError> {
    let font = match crate::pdf::find(font, home) {
        Ok(found) => found,
        Err(_) if font.is_none() => return Ok(None),
        Err(error) => return Err(error),
    };
    let wrong = |error: serde_json::Error| CommandError::Integrity(format!("the evidence does not hold: {error}"));
    let content = |name: &str| evidence.contents.get(name).map(String::as_str).unwrap_or_default();
    let statements: Statements = serde_json::from_str(content("statements.json")).map_err(wrong)?;
    let claim: Claim = serde_json::from_str(&evidence.claim).map_err(wrong)?;
    let payments: Vec<Value> = serde_json::from_str(content("payments/payments.json")).map_err(wrong)?;
    let set = StatementSet {
        participant: claim.participant,
        period: claim.base_year.to_string(),
        statements: by_currency(&statements, claim.base_year),
        payments,
    };
    pdf::pdf(&set, &json!(statements.parties), &font).map(Some)
}

fn by_currency(statements: &Statements, year: i16) -> Vec<Statement> {
    let mut found: Vec<Statement> = Vec::new();
    for sold in statements.lines.iter().filter(|sold| sold.period.year() == year) {
        let place = found.iter().position(|statement| statement.currency == sold.currency).unwrap_or_else(|| {
            found.push(Statement { currency: sold.currency, lines: Vec::new(), total: "0".to_owned() });
            found.len() - 1
        });
        if let Some(statement) = found.get_mut(place) {
            let total = statement.total.parse::<i128>().unwrap_or(0).saturating_add(i128::from(sold.amount.0));
            statement.total = total.to_string();
            statement.lines.push(line(sold));
        }
    }
    found
}

fn line(sold: &Sold) -> Line {
    Line {
        agreement: sold.agreement.clone(),
        dataset: sold.dataset.clone(),
        version: sold.version.clone(),
        provider: sold.provider.clone(),
        consumer: sold.consumer.clone(),
        broker: sold.broker.clone(),
        units: sold.units,
        rows: sold.rows,
        unit_bytes: sold.unit_bytes,
        wire_bytes: sold.wire_bytes,
        amount: sold.amount.0.to_string(),
        fee: sold.fee.0.to_string(),
        tax: sold.tax.0.to_string(),
        vat: if sold.vat == TaxKnown::Included { "included" } else { "unknown" }.to_owned(),
        evidence: Shown { sent: sold.sent, receipt: sold.receipt },
        credit_note: None,
        service_period: Some(sold.period.to_string()),
    }
}
