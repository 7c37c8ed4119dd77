//! `kouan books`: what stands on the accounts.

use serde_json::Value;

use super::audit::accounts;
use super::rest::{self, get};
use crate::args::payment::BooksArgs;
use crate::error::CommandError;
use crate::output::plain;
use crate::output::table::fields;
use crate::session::Session;

pub async fn run(session: &mut Session<'_>, args: &BooksArgs) -> Result<(), CommandError> {
    let value = get(&rest::client(session, &args.connect)?, &["v1", "ledger", "balances"]).await?;
    session.answer(&value, || {
        let text = |member: &str| plain(value.get(member).unwrap_or(&Value::Null));
        let mut lines = fields([("entries", text("size")), ("digest", text("digest"))]);
        lines.extend(accounts(value.get("balances").unwrap_or(&Value::Null)));
        lines
    })
}
