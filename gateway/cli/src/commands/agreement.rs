//! `kouan agreement …`.

use gateway_api::exchange::AcceptOffer;
use serde_json::{Value, json};

use super::rest::{self, act, get, items};
use crate::args::exchange::AgreementCommand;
use crate::client::{Call, path};
use crate::error::CommandError;
use crate::output::table::{Table, fields};
use crate::output::{money, plain};
use crate::session::{Lines, Session};

pub async fn run(session: &mut Session<'_>, command: &AgreementCommand) -> Result<(), CommandError> {
    match command {
        AgreementCommand::Accept { target, purpose, connect } => {
            let body = AcceptOffer {
                dataset: target.dataset.clone(),
                version: target.version.clone(),
                purpose: purpose.clone(),
            };
            let call = Call::post_json("/v1/agreements", &body)?;
            let value = rest::client(session, connect)?.json(&call).await?;
            session.answer(&value, || {
                let mut lines = shown(&value);
                lines.push(format!("next: kouan pull {} --purpose {purpose}", target.dataset));
                lines
            })
        }
        AgreementCommand::List { connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "agreements"]).await?;
            session.answer(&value, || {
                let agreements = items(&value, "agreements");
                if agreements.is_empty() {
                    return vec![
                        "no agreements; take an offer with: kouan agreement accept DATASET --purpose P".to_owned(),
                    ];
                }
                let columns = [
                    ("AGREEMENT", "/id"),
                    ("PARTICIPANT", "/participant"),
                    ("DATASET", "/dataset"),
                    ("PURPOSE", "/purpose"),
                    ("STATE", "/state"),
                    ("SINCE", "/at"),
                ];
                Table::of_values(agreements, &columns).lines()
            })
        }
        AgreementCommand::Show { id, connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "agreements", id.as_str()]).await?;
            session.answer(&value, || shown(&value))
        }
        AgreementCommand::End { id, connect } => {
            let client = rest::client(session, connect)?;
            let value = act(&client, &["v1", "agreements", id.as_str(), "end"]).await?;
            session.answer(&value, || vec![format!("agreement {id} has ended; live streams under it are cut")])
        }
        AgreementCommand::Credit { id, version, amount, currency, period, reason, connect } => {
            let body = json!({
                "agreement": id, "version": version, "amount": amount.to_string(), "currency": currency,
                "period": period, "reason": reason,
            });
            let value = rest::client(session, connect)?.json(&Call::post_json("/v1/credit-notes", &body)?).await?;
            session.answer(&value, || {
                vec![match value.get("id").and_then(Value::as_str) {
                    Some(note) => format!("credit note {note} over {} is posted", money(&amount.to_string(), currency)),
                    None => "noted; a second compliance officer of an authority has to send the same".to_owned(),
                }]
            })
        }
        AgreementCommand::ForeignAuthority { id, clear, connect } => {
            let target = path(["v1", "agreements", id.as_str(), "foreign-authority"]);
            let call = Call::post_json(target, &json!({ "flag": !clear }))?;
            let value = rest::client(session, connect)?.json(&call).await?;
            let now = if *clear { "serves no" } else { "serves a" };
            session.answer(&value, || vec![format!("agreement {id} {now} foreign judicial or law-enforcement body")])
        }
    }
}

fn shown(value: &Value) -> Lines {
    let members = ["id", "participant", "dataset", "purpose", "offer", "state", "at", "cap"];
    let mut lines = fields(members.map(|member| (member, plain(value.get(member).unwrap_or(&Value::Null)))));
    lines.extend(value.get("fee").and_then(fee));
    lines
}

/// What the broker keeps of the price.
fn fee(value: &Value) -> Option<String> {
    if let Some(ppm) = value.get("rate_ppm").and_then(Value::as_u64) {
        let decimals = format!("{:04}", ppm % 10_000);
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        return Some(format!("the broker's part: {}{point}{decimals} % of the price", ppm / 10_000));
    }
    let amount = value.get("amount").map(plain)?;
    Some(format!("the broker's part: {amount} minor units of each line of a statement"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_brokers_part_is_told_exactly() {
        let told = |agreement: Value| shown(&agreement).last().cloned().unwrap_or_default();
        for (ppm, percent) in
            [(0, "0 %"), (100_000, "10 %"), (333_333, "33.3333 %"), (500, "0.05 %"), (1_000_000, "100 %")]
        {
            let line = told(json!({"id": "a", "fee": {"rate_ppm": ppm}}));
            assert_eq!(line, format!("the broker's part: {percent} of the price"));
        }
        let line = told(json!({"id": "a", "fee": {"amount": "700"}}));
        assert_eq!(line, "the broker's part: 700 minor units of each line of a statement");
        assert!(!shown(&json!({"id": "a"})).iter().any(|line| line.contains("broker")));
    }
}
