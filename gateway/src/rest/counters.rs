//! `/v1/participants/{id}/baselines` and `…/counters`: what a participant says it exported in a year, signed by it, and what
//! this gateway has counted.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use catalog::Participant;
use catalog::participant::{Baseline, BaselineDocument};
use catalog::{Digest, Role};
use certs::jws;
use gateway_api::participant::{CountersView, DatasetCounters, SignedBaseline};
use gateway_api::{Code, Problem};
use gateway_store::{DatasetCount, DocKind};
use serde::Deserialize;
use serde_json::json;

use super::change::{Change, execute};
use super::participants::{find, members, view};
use super::{Caller, Posted, Refused, json_response};
use crate::authz::Action;
use crate::clock;
use crate::gateway::Shared;
use crate::rest::path::Path;

/// `POST /v1/participants/{id}/baselines`: the signed numbers of a year; inert until an authority's officer confirms them.
/// Whoever brings them, the signature says whose they are.
pub async fn declare(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    posted: Posted<SignedBaseline>,
) -> Result<Response, Refused> {
    let SignedBaseline { document, signature } = posted.value;
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut participant) = find(caller, Action::DeclareBaseline, &name)?;
        check(&gateway, caller, &participant, &document, &signature)?;
        let BaselineDocument { year, persons, sensitive, as_of, .. } = document;
        if participant.baselines.get(&year).is_some_and(Baseline::counts) {
            let detail = format!("the baseline of {year} is confirmed: what counts is not changed behind the counters");
            return Err(Problem::new(Code::Conflict, detail));
        }
        let digest = Digest::of(&document.canonical());
        let baseline = Baseline { persons, sensitive, confirmed: false, as_of: Some(as_of), document: Some(digest) };
        participant.baselines.insert(year, baseline);
        let mut change = Change::recorded(caller, &gateway.secrets, "baseline", members(&participant))?;
        if let Some(leaf) = change.transaction.leaves.first_mut() {
            leaf.insert("baseline".to_owned(), json!(document));
            leaf.insert("document".to_owned(), json!(digest));
        }
        // The signature holds a certificate, and so a person's name: the log commits to it (INV-10).
        change.commit_to(&gateway.secrets, "signature", &signature)?;
        change.replace(DocKind::Participant, participant.id.to_string(), revision, &participant);
        Ok(change.answer(StatusCode::OK, &view(&participant)))
    })
    .await
}

/// The numbers are possible, and the participant has signed them: with a certificate that its own authority vouches for
/// now, of somebody who speaks for it about its data.
fn check(
    gateway: &Shared,
    caller: &Caller,
    participant: &Participant,
    document: &BaselineDocument,
    signature: &str,
) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::new(Code::BadInput, detail));
    if document.participant != participant.id {
        return wrong(format!("the document is about `{}`, not `{}`", document.participant, participant.id));
    }
    if let Some(mistake) = document.mistake(clock::today(caller.now)) {
        return wrong(mistake.to_owned());
    }
    let typ = BaselineDocument::SIGNATURE_TYPE;
    let chain = match jws::verify_detached(signature, typ, &document.canonical()) {
        Ok(chain) => chain,
        Err(error) => return wrong(format!("`signature`: {error}")),
    };
    let verified = match gateway.trust.shared().load().verify(&chain, caller.now) {
        Ok(verified) => verified,
        Err(denied) => return wrong(format!("`signature`: the certificate does not count: {denied}")),
    };
    let signer = verified.spiffe();
    if signer.trust_domain().as_str() != participant.trust_domain {
        return wrong(format!("`signature` is of `{}`, not of `{}`", signer.trust_domain(), participant.trust_domain));
    }
    let role = Role::parse(&signer.role().to_string());
    let speaks = |role: Role| matches!(role, Role::Broker | Role::Compliance) && participant.roles.contains(&role);
    let signs = role.is_some_and(speaks);
    if !signs {
        return wrong(format!("`signature` is of a `{}`: a broker or compliance officer signs", signer.role()));
    }
    Ok(())
}

/// Query of `GET /v1/participants/{id}/counters`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    year: Option<i16>,
}

/// `GET /v1/participants/{id}/counters?year=`: whom the year's exports concern, dataset by dataset, and how it was counted.
pub async fn show(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(|error| Problem::new(Code::BadInput, error.body_text()))?;
    let (_, participant) = find(&caller, Action::ReadCounters, &name)?;
    let year = query.year.unwrap_or_else(|| clock::today(caller.now).year());
    let exporter = participant.id.clone();
    // An unused stream that has just ended gives back what it reserved.
    gateway.settler.settled().await;
    let (counted, datasets) = gateway
        .scan(move |reader| {
            Ok((reader.counted(&exporter, year)?.year.totals(), reader.counted_datasets(&exporter, year)?))
        })
        .await?;
    let baseline = participant.baselines.get(&year).filter(|baseline| baseline.counts());
    let (persons, sensitive) = baseline.map_or((0, 0), |baseline| (baseline.persons, baseline.sensitive));
    let view = CountersView {
        participant: participant.id,
        year,
        persons: persons.saturating_add(counted.persons),
        sensitive: sensitive.saturating_add(counted.sensitive),
        counted_persons: counted.persons,
        counted_sensitive: counted.sensitive,
        baseline: participant.baselines.get(&year).cloned(),
        datasets: datasets.iter().map(dataset).collect(),
    };
    Ok(json_response(StatusCode::OK, &view))
}

fn dataset(count: &DatasetCount) -> DatasetCounters {
    let keys = count.keys.as_ref();
    let numbers = count.numbers;
    let method = match (keys, numbers.persons > 0 || numbers.sensitive > 0) {
        (Some(_), false) => "keys",
        (Some(_), true) => "keys and declared",
        (None, _) => "declared",
    };
    let (keyed, keyed_sensitive) = keys.map_or((0, 0), |keys| (keys.persons.len(), keys.sensitive.len()));
    DatasetCounters {
        dataset: count.dataset.clone(),
        method: method.to_owned(),
        persons: keyed.saturating_add(numbers.persons),
        sensitive: keyed_sensitive.saturating_add(numbers.sensitive),
        by_key: keyed,
        by_number: numbers.persons,
    }
}
