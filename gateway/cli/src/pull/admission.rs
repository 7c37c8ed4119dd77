//! May it go, what does it cost, and does an agreement cover it? Nothing has moved when this is answered.

use catalog::{DatasetId, Purpose, VersionName};
use gateway_api::Code;
use gateway_api::catalog::{DatasetView, VersionView};
use gateway_api::exchange::{AcceptOffer, AgreementView, Columns, Money, Plan, PlanRequest};
use serde_json::{Value, json};

use super::source::Source;
use crate::args::pull::PullArgs;
use crate::args::target::Target;
use crate::client::{Call, Client, path};
use crate::error::CommandError;
use crate::output::{self, decision};
use crate::session::Session;

/// A selection that the policy allows, within the price, under an agreement.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Dataset.
    pub dataset: DatasetId,
    /// Version: the one asked for, or the newest.
    pub version: VersionName,
    /// The columns of the request; empty means all.
    pub selected: Vec<String>,
    /// Whether columns that may not leave are left out.
    pub redact: bool,
    /// The columns that will come.
    pub columns: Vec<String>,
    /// What for, if it was said.
    pub purpose: Option<Purpose>,
    /// What all of it costs.
    pub price: Money,
    /// The agreement.
    pub agreement: Option<String>,
}

impl Admitted {
    /// The version's entry.
    pub async fn version(&self, client: &Client) -> Result<VersionView, CommandError> {
        client
            .typed(&Call::get(path(["v1", "datasets", self.dataset.as_str(), "versions", self.version.as_str()])))
            .await
    }
}

/// What is asked of a plan, shared by `plan` and `pull`.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Of which version.
    pub target: &'a Target,
    /// Which columns; empty means all.
    pub columns: &'a [String],
    /// Leave out what may not go.
    pub redact: bool,
    /// What for.
    pub purpose: Option<Purpose>,
}

/// Asks for a plan. Without a purpose, when one is needed and the offer has only one, that one is taken.
pub async fn plan(client: &Client, question: &mut Question<'_>) -> Result<Plan, CommandError> {
    match ask(client, question).await {
        Err(error) if error.is(Code::PurposeRequired) && question.purpose.is_none() => {
            question.purpose = Some(only_purpose(client, &question.target.dataset).await?);
            ask(client, question).await
        }
        other => other,
    }
}

async fn ask(client: &Client, question: &Question<'_>) -> Result<Plan, CommandError> {
    let request = PlanRequest {
        dataset: question.target.dataset.clone(),
        version: question.target.version.clone(),
        columns: (!question.columns.is_empty()).then(|| Columns::Named(question.columns.to_vec())),
        r#where: None,
        redact: question.redact,
        purpose: question.purpose.clone(),
    };
    client.typed(&Call::post_json("/v1/plan", &request)?).await
}

async fn only_purpose(client: &Client, dataset: &DatasetId) -> Result<Purpose, CommandError> {
    let view: DatasetView = client.typed(&Call::get(path(["v1", "datasets", dataset.as_str()]))).await?;
    match view.summary.offer.purposes.as_slice() {
        [only] => Ok(only.clone()),
        purposes => {
            let names: Vec<&str> = purposes.iter().map(Purpose::as_str).collect();
            Err(CommandError::Usage(format!("say what for with `--purpose`; the offer has: {}", names.join(", "))))
        }
    }
}

/// Plans a pull, tells refusal or price, and takes the offer if `--accept` says so.
///
/// # Errors
///
/// [`CommandError::Decision`] with tested remedies, [`CommandError::Price`], and a denial that names the exact command
/// if no agreement covers the version.
pub async fn admit(session: &mut Session<'_>, client: &Client, args: &PullArgs) -> Result<Admitted, CommandError> {
    let mut question =
        Question { target: &args.target, columns: &args.columns, redact: args.redact, purpose: args.purpose.clone() };
    let plan = plan(client, &mut question).await?;
    // What an officer has released may go, though the decision stays a review.
    if decision::effect(&plan.decision) != "allow" && plan.release.is_none() {
        return Err(refused(session, client, args, &question, &plan).await);
    }
    let price = output::money(&plan.price.amount, plan.price.currency.as_str());
    session.note(&format!(
        "{}@{}: {}, {} columns, {}, {price}",
        plan.dataset,
        plan.version,
        if plan.release.is_some() { "released" } else { "allowed" },
        plan.columns.len(),
        output::bytes(plan.bytes)
    ));
    check_price(&plan.price, args.max_price)?;
    let agreement = match &plan.agreement {
        Some(id) => id.to_string(),
        None => accept(session, client, args, &question, &plan).await?,
    };
    Ok(Admitted {
        dataset: plan.dataset,
        version: plan.version,
        selected: args.columns.clone(),
        redact: args.redact,
        columns: plan.columns,
        purpose: question.purpose,
        price: plan.price,
        agreement: Some(agreement),
    })
}

/// An amount that is not a number is over every cap: what cannot be read is not paid.
fn check_price(price: &Money, cap: Option<u64>) -> Result<(), CommandError> {
    let Some(cap) = cap else { return Ok(()) };
    if price.amount.parse::<u64>().is_ok_and(|amount| amount <= cap) {
        return Ok(());
    }
    let currency = price.currency.as_str();
    Err(CommandError::Price(format!(
        "all of it costs {}, more than the `--max-price` of {}; nothing was pulled",
        output::money(&price.amount, currency),
        output::money(&cap.to_string(), currency)
    )))
}

async fn accept(
    session: &mut Session<'_>,
    client: &Client,
    args: &PullArgs,
    question: &Question<'_>,
    plan: &Plan,
) -> Result<String, CommandError> {
    let purpose = match &question.purpose {
        Some(purpose) => purpose.clone(),
        None => only_purpose(client, &plan.dataset).await?,
    };
    if !args.accept {
        let price = output::money(&plan.price.amount, plan.price.currency.as_str());
        let command = command_line(args, &["--purpose", purpose.as_str(), "--accept"]);
        return Err(CommandError::Decision {
            code: Code::NoAgreement,
            detail: format!(
                "no agreement covers {}@{}; its offer costs {price} for all of this selection\n  take it with: {command}",
                plan.dataset, plan.version
            ),
            explain: json!({
                "accept": { "method": "POST", "path": "/v1/agreements",
                            "body": { "dataset": plan.dataset, "version": plan.version, "purpose": purpose } },
                "command": command,
            }),
            leaf: None,
        });
    }
    let request =
        AcceptOffer { dataset: plan.dataset.clone(), version: Some(plan.version.clone()), purpose: purpose.clone() };
    let agreement: AgreementView = client.typed(&Call::post_json("/v1/agreements", &request)?).await?;
    session.note(&format!("offer taken for {purpose}: agreement {}", agreement.id));
    Ok(agreement.id.to_string())
}

/// A refusal in words, with the remedies that the gateway has tested: `--redact` is tested here by another plan.
async fn refused(
    session: &Session<'_>,
    client: &Client,
    args: &PullArgs,
    question: &Question<'_>,
    plan: &Plan,
) -> CommandError {
    let review = decision::effect(&plan.decision) == "review";
    let mut explain = plan.decision.clone();
    let redact = command_line(args, &["--redact"]);
    decision::put_command(&mut explain, "drop-columns", &redact);
    // What is on record is asked for by its index, below.
    if let Some(members) = explain.as_object_mut() {
        members.remove("review");
    }
    let selection = if args.columns.is_empty() { "all columns".to_owned() } else { args.columns.join(", ") };
    let verdict = if review { "needs a person's review" } else { "may not leave" };
    let mut lines = vec![format!("{}@{} ({selection}) {verdict}", plan.dataset, plan.version)];
    lines.extend(decision::explanation(&explain, session.lang));
    if !args.redact && !decision::names(&plan.decision, "columns_allowed").is_empty() {
        let redacted = ask(client, &Question { redact: true, ..question.clone() }).await;
        if let Ok(redacted) = redacted
            && (decision::effect(&redacted.decision) == "allow" || redacted.release.is_some())
        {
            lines.push(format!("  would be allowed, with {} columns: {redact}", redacted.columns.len()));
            add(&mut explain, "allowed_with", json!({ "command": redact, "columns": redacted.columns }));
        }
    }
    let leaf = record(client, question, plan).await;
    if let Some(leaf) = leaf {
        lines.push(format!("  recorded as entry {leaf}: kouan audit show {leaf}"));
    }
    match leaf {
        Some(leaf) if review => {
            let command = format!("kouan review request --leaf {leaf}");
            lines.push(format!("  an authority's officer may release it; ask for that: {command}"));
            add(&mut explain, "review", json!({ "command": command }));
        }
        None if review => {
            lines.push("  an authority's officer may release it, once you have taken the offer".to_owned());
        }
        _ => {}
    }
    let code = if review { Code::Review } else { Code::Denied };
    CommandError::Decision { code, detail: lines.join("\n"), explain, leaf }
}

/// A plan is a dry run and leaves no trace; a pull that is refused is a refusal on record. So the pull is asked for, of
/// one byte, and the gateway's own refusal gives the log index. Without an agreement there is nothing to ask under.
async fn record(client: &Client, question: &Question<'_>, plan: &Plan) -> Option<u64> {
    let (dataset, version) = (plan.dataset.as_str(), plan.version.as_str());
    let agreement = plan.agreement.as_ref()?;
    let target = path(["v1", "datasets", dataset, "versions", version]);
    let view: VersionView = client.typed(&Call::get(target)).await.ok()?;
    let admitted = Admitted {
        dataset: plan.dataset.clone(),
        version: plan.version.clone(),
        selected: question.columns.to_vec(),
        redact: question.redact,
        columns: plan.columns.clone(),
        purpose: question.purpose.clone(),
        price: plan.price.clone(),
        agreement: Some(agreement.to_string()),
    };
    let call = Source::new(&admitted, view.files.first()?).ok()?.get().ok()?.header("range", "bytes=0-0").ok()?;
    client.accepted(&call).await.err()?.leaf()
}

fn add(object: &mut Value, member: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(member.to_owned(), value);
    }
}

/// The user's own command with something more, ready to paste.
fn command_line(args: &PullArgs, more: &[&str]) -> String {
    let mut words = Vec::new();
    if args.redact {
        words.push("--redact".to_owned());
    }
    if let (Some(purpose), false) = (&args.purpose, more.contains(&"--purpose")) {
        words.extend(["--purpose".to_owned(), purpose.to_string()]);
    }
    if args.accept && !more.contains(&"--accept") {
        words.push("--accept".to_owned());
    }
    if args.out != std::path::Path::new(".") {
        words.extend(["--out".to_owned(), args.out.to_string_lossy().into_owned()]);
    }
    words.extend(more.iter().map(|word| (*word).to_owned()));
    pull_command(&args.target, &args.columns, &words)
}

/// `kouan pull` of `columns` of `target`, with something more.
pub fn pull_command(target: &Target, columns: &[String], more: &[String]) -> String {
    let mut words = vec!["kouan".to_owned(), "pull".to_owned(), target.to_string()];
    if !columns.is_empty() {
        words.extend(["--columns".to_owned(), shell_word(&columns.join(","))]);
    }
    words.extend(more.iter().map(|word| shell_word(word)));
    words.join(" ")
}

/// A word that a POSIX shell reads back as it is.
pub fn shell_word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./,:@%+=".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use catalog::offer::Currency;

    #[test]
    fn a_price_over_the_cap_stops() {
        let price = |amount: &str| Money { amount: amount.to_owned(), currency: Currency::Cny };
        assert!(check_price(&price("100"), None).is_ok());
        assert!(check_price(&price("100"), Some(100)).is_ok());
        for over in ["101", "-1", "x", "99999999999999999999999"] {
            let error = check_price(&price(over), Some(100)).unwrap_err();
            assert_eq!(error.exit(), crate::exit::Exit::Limit, "{over}");
        }
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_word("a,b"), "a,b");
        assert_eq!(shell_word("it's $x"), "'it'\\''s $x'");
        assert_eq!(shell_word(""), "''");
    }
}
