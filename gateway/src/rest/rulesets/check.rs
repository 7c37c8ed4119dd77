//! Rules tried before they are taken: on the schema, and on the worked cases.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_api::{Code, Problem};
use policy::{LocalRules, LocalSources, Reach, VectorReport};
use serde_json::json;

use crate::admission::unavailable;
use crate::gateway::Shared;

/// Parses `rules` of `owner` and tries them, on a thread that may take its time.
pub async fn tried(
    gateway: &Shared,
    owner: &str,
    rules: BTreeMap<String, String>,
    reach: Reach,
) -> Result<(Arc<LocalRules>, VectorReport), Problem> {
    let law = gateway.rules.law().clone();
    let sources = LocalSources { owner: owner.to_owned(), rules };
    let parsed = tokio::task::spawn_blocking(move || LocalRules::parse(&law, sources)).await.map_err(unavailable)?;
    let rules = Arc::new(parsed.map_err(|error| {
        Problem::new(Code::BadInput, format!("these rules cannot be used: {error}"))
            .with("problems", json!(error.problems))
    })?);
    let report = on_vectors(gateway, &rules, reach).await?;
    Ok((rules, report))
}

/// Tries `rules` on the worked cases under the law of this release.
///
/// # Errors
/// 400 if a case comes out milder, or a rule fails on one.
pub async fn on_vectors(gateway: &Shared, rules: &Arc<LocalRules>, reach: Reach) -> Result<VectorReport, Problem> {
    let (law, tried) = (gateway.rules.law().clone(), Arc::clone(rules));
    let report = tokio::task::spawn_blocking(move || policy::check(&law, &tried, reach)).await.map_err(unavailable)?;
    if report.passes() {
        return Ok(report);
    }
    let detail = match (report.failed.first(), report.widened.first()) {
        (Some(failure), _) => format!(
            "rule `{}` cannot be evaluated in the worked case `{}`: what fails denies, so write it so that it cannot \
             (an overflow, most likely)",
            failure.rule, failure.vector
        ),
        (None, Some(flip)) => {
            format!("the worked case `{}` would come out milder: {} became {}", flip.vector, flip.from, flip.to)
        }
        (None, None) => "these rules did not pass the worked cases".to_owned(),
    };
    Err(Problem::new(Code::BadInput, detail).with("check", json!(report)))
}
