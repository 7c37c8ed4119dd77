//! `kouan fx …`: rates of exchange on record.

use serde_json::{Value, json};

use super::rest::{self, get, items};
use crate::args::payment::{AddRateArgs, FxCommand};
use crate::client::Call;
use crate::error::CommandError;
use crate::output::table::Table;
use crate::session::Session;

const COLUMNS: [(&str, &str); 7] = [
    ("RATE", "/id"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("NUM", "/num"),
    ("DEN", "/den"),
    ("SOURCE", "/source"),
    ("AS OF", "/as_of"),
];

pub async fn run(session: &mut Session<'_>, command: &FxCommand) -> Result<(), CommandError> {
    match command {
        FxCommand::Add(args) => {
            let call = Call::post_json("/v1/fx-rates", &body(args)?)?;
            let value = rest::client(session, &args.connect)?.json(&call).await?;
            session.answer(&value, || match value.get("id") {
                Some(_) => Table::of_values(std::slice::from_ref(&value), &COLUMNS).lines(),
                None => vec!["noted; a compliance officer of an authority has to send the same".to_owned()],
            })
        }
        FxCommand::List { connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "fx-rates"]).await?;
            session.answer(&value, || match items(&value, "rates") {
                [] => vec!["no rates on record".to_owned()],
                rates => Table::of_values(rates, &COLUMNS).lines(),
            })
        }
    }
}

fn body(args: &AddRateArgs) -> Result<Value, CommandError> {
    let wrong =
        || CommandError::Usage(format!("`--rate {}` is no fraction of whole numbers: write 9123/10000", args.rate));
    let (num, den) = args.rate.split_once('/').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    Ok(json!({
        "from": args.from, "to": args.to, "num": number(num)?, "den": number(den)?, "source": args.source,
        "as_of": args.as_of,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_rate_is_a_fraction_of_whole_numbers() {
        let of = |rate: &str| {
            let text = |text: &str| text.to_owned();
            let (from, to, source, as_of) = (text("HKD"), text("CNY"), text("HKMA"), text("2026-11-27"));
            body(&AddRateArgs {
                from,
                to,
                rate: text(rate),
                source,
                as_of,
                connect: crate::args::connect::ConnectArgs::default(),
            })
        };
        assert_eq!(of("9123/10000").unwrap().get("num"), Some(&json!(9123)));
        for bad in ["0.9123", "1/", "/1", "-1/2", "1/2/3"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
