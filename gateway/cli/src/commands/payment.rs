//! `kouan payment …`: what came in, and the paper that shows it.

use std::path::Path;

use catalog::Digest;
use serde_json::{Value, json};

use super::rest::{self, act_because, get, items};
use crate::args::payment::{PaymentCommand, RecordPaymentArgs};
use crate::client::Call;
use crate::error::CommandError;
use crate::output::table::Table;
use crate::output::{money, plain};
use crate::session::{Lines, Session};

/// Largest slip or fapiao, in bytes.
const PAPER_BYTES_MAX: u64 = 256 << 20;

pub async fn run(session: &mut Session<'_>, command: &PaymentCommand) -> Result<(), CommandError> {
    match command {
        PaymentCommand::Record(args) => {
            let call = Call::post_json("/v1/payments", &body(args)?)?;
            let value = rest::client(session, &args.connect)?.json(&call).await?;
            session.answer(&value, || table(std::slice::from_ref(&value)))
        }
        PaymentCommand::List { connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "payments"]).await?;
            session.answer(&value, || match items(&value, "payments") {
                [] => vec!["no payments on record".to_owned()],
                payments => table(payments),
            })
        }
        PaymentCommand::Reverse { id, reason, connect } => {
            let client = rest::client(session, connect)?;
            let value = act_because(&client, &["v1", "payments", id, "reverse"], reason).await?;
            session.answer(&value, || {
                vec![match value.get("id") {
                    Some(_) => format!("payment {id} is taken back"),
                    None => "noted; a second compliance officer of an authority has to send the same".to_owned(),
                }]
            })
        }
    }
}

fn body(args: &RecordPaymentArgs) -> Result<Value, CommandError> {
    let (kind, file): (&str, &Path) = match (&args.bank, &args.fapiao) {
        (Some(file), _) => ("bank", file),
        (None, Some(file)) => ("fapiao", file),
        (None, None) => return Err(CommandError::Usage("name what shows it: `--bank FILE` or `--fapiao FILE`".into())),
    };
    let digest = Digest::of(&crate::files::read(file, PAPER_BYTES_MAX)?);
    let mut body = json!({
        "agreement": args.agreement, "amount": args.amount, "currency": args.currency, "on": args.on,
        "shown": {"kind": kind, "reference": args.reference, "digest": digest},
    });
    for (name, value) in [("rate", &args.rate), ("spread", &args.spread)] {
        if let (Some(value), Some(members)) = (value, body.as_object_mut()) {
            members.insert(name.to_owned(), json!(value));
        }
    }
    Ok(body)
}

/// Payments below each other: the statement shows them too.
pub fn table(payments: &[Value]) -> Lines {
    let mut table = Table::new(&["PAYMENT", "STATE", "ON", "CONSUMER", "PAID", "SETTLES", "SHOWN BY", "AGREEMENT"]);
    for payment in payments {
        let text = |pointer: &str| plain(payment.pointer(pointer).unwrap_or(&Value::Null));
        table.row([
            text("/id"),
            text("/state"),
            text("/on"),
            text("/consumer"),
            money(&text("/paid/amount"), &text("/paid/currency")),
            money(&text("/settled/amount"), &text("/settled/currency")),
            format!("{} {}", text("/shown/kind"), text("/shown/reference")),
            text("/agreement"),
        ]);
    }
    table.lines()
}
