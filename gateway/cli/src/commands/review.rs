//! `kouan review …`.

use catalog::manifest::Subjects;
use gateway_api::exchange::Columns;
use gateway_api::review::{ReleaseReview, RequestReview};
use serde_json::Value;

use super::rest::{self, act_because, get, items};
use crate::args::review::{ReleaseArgs, RequestArgs, ReviewCommand};
use crate::client::{Call, path, with_query};
use crate::error::CommandError;
use crate::output::table::{Table, fields};
use crate::output::{decision, plain};
use crate::session::{Lines, Session};

pub async fn run(session: &mut Session<'_>, command: &ReviewCommand) -> Result<(), CommandError> {
    match command {
        ReviewCommand::Request(args) => request(session, args).await,
        ReviewCommand::List { state, limit, connect } => {
            let client = rest::client(session, connect)?;
            let state = state.map(crate::args::review::StateArg::as_str);
            let target = |cursor: Option<&str>| with_query("/v1/reviews", [("state", state), ("cursor", cursor)]);
            let value = rest::pages(&client, target, "reviews", *limit).await?;
            session.answer(&value, || list(items(&value, "reviews")))
        }
        ReviewCommand::Show { id, connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "reviews", id.as_str()]).await?;
            let lang = session.lang;
            session.answer(&value, || {
                let mut lines = shown(&value);
                lines.extend(decision::explanation(value.get("explain").unwrap_or(&Value::Null), lang));
                lines
            })
        }
        ReviewCommand::Release(args) => {
            let client = rest::client(session, &args.connect)?;
            let target = path(["v1", "reviews", args.id.as_str(), "release"]);
            let value = client.json(&Call::post_json(target, &release(args))?).await?;
            session.answer(&value, || {
                let until = plain(value.pointer("/release/until").unwrap_or(&Value::Null));
                vec![format!("review {} is released until {until}: its consumer may pull now", args.id)]
            })
        }
        ReviewCommand::Refuse { id, reason, connect } => {
            let client = rest::client(session, connect)?;
            let value = act_because(&client, &["v1", "reviews", id.as_str(), "refuse"], reason).await?;
            session.answer(&value, || vec![format!("review {id} is refused")])
        }
        ReviewCommand::Withdraw { id, reason, connect } => {
            let client = rest::client(session, connect)?;
            let value = act_because(&client, &["v1", "reviews", id.as_str(), "withdraw"], reason).await?;
            session.answer(&value, || {
                vec![match value.get("release") {
                    Some(_) => format!("the release of review {id} is withdrawn; its streams end within a second"),
                    None => format!("review {id} is withdrawn"),
                }]
            })
        }
    }
}

async fn request(session: &mut Session<'_>, args: &RequestArgs) -> Result<(), CommandError> {
    let body = RequestReview {
        dataset: args.target.as_ref().map(|target| target.dataset.clone()),
        version: args.target.as_ref().and_then(|target| target.version.clone()),
        columns: (!args.columns.is_empty()).then(|| Columns::Named(args.columns.clone())),
        redact: args.redact,
        purpose: args.purpose.clone(),
        leaf: args.leaf,
        note: args.note.clone(),
    };
    let value = rest::client(session, &args.connect)?.json(&Call::post_json("/v1/reviews", &body)?).await?;
    session.answer(&value, || {
        let mut lines = shown(&value);
        let id = plain(value.get("id").unwrap_or(&Value::Null));
        lines.push(format!("an authority's officer decides; see what became of it: kouan review show {id}"));
        lines
    })
}

fn release(args: &ReleaseArgs) -> ReleaseReview {
    let subjects = match (args.persons, args.sensitive, args.under_14) {
        (Some(persons), Some(sensitive), Some(under_14)) => Some(Subjects { persons, sensitive, under_14 }),
        _ => None,
    };
    ReleaseReview {
        reason: args.reason.clone(),
        reference: args.reference.clone(),
        until: args.until.clone(),
        subjects,
    }
}

fn list(reviews: &[Value]) -> Lines {
    if reviews.is_empty() {
        return vec!["no reviews".to_owned()];
    }
    let columns = [
        ("REVIEW", "/id"),
        ("STATE", "/state"),
        ("CONSUMER", "/participant"),
        ("DATASET", "/dataset"),
        ("VERSION", "/version"),
        ("RULES", "/rules"),
        ("ASKED", "/at"),
        ("UNTIL", "/release/until"),
    ];
    Table::of_values(reviews, &columns).lines()
}

fn shown(value: &Value) -> Lines {
    let rows = [
        ("id", "/id"),
        ("state", "/state"),
        ("dataset", "/dataset"),
        ("version", "/version"),
        ("columns", "/columns"),
        ("purpose", "/purpose"),
        ("consumer", "/participant"),
        ("provider", "/provider"),
        ("agreement", "/agreement"),
        ("rules", "/rules"),
        ("refusal", "/refusal"),
        ("note", "/note"),
        ("asked", "/at"),
        ("answered by", "/answer/by"),
        ("reason", "/answer/reason"),
        ("reference", "/release/reference"),
        ("until", "/release/until"),
        ("persons", "/release/subjects/persons"),
        ("in force", "/release/in_force"),
    ];
    fields(rows.map(|(name, pointer)| (name, plain(value.pointer(pointer).unwrap_or(&Value::Null)))))
}
