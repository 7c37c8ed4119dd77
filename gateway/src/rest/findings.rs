//! What inspection found beyond the declared classes: it blocks submission until the class is raised in a new version, or an
//! officer of an authority accepts it with a reason, which is logged.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::inspect::{AcceptedFinding, Finding};
use catalog::{Version, VersionState};
use gateway_api::catalog::AcceptFinding;
use gateway_api::{Code, Problem};
use gateway_store::DocKind;
use serde_json::json;

use super::change::{Change, execute, reason};
use super::lifecycle::{Target, target};
use super::{Caller, Posted, Refused};
use crate::authz::Action;
use crate::gateway::{Shared, version_key};
use crate::leaf;

/// Places of one finding that the text of a refusal names; its `findings` have more.
const SHOWN: usize = 3;
/// Findings that the text of a refusal names.
const NAMED: usize = 5;

/// Nothing was found that nobody declared or accepted.
///
/// # Errors
/// 409 with `findings` (column, kinds, places) and what can be done about them.
pub fn none_open(version: &Version) -> Result<(), Problem> {
    let open = version.open_findings();
    if open.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> = open.iter().take(NAMED).map(sentence).collect();
    if open.len() > NAMED {
        named.push(format!("and {} more columns", open.len() - NAMED));
    }
    let (dataset, name) = (&version.dataset, &version.version);
    let raise = "declare the class in the manifest and register a new version";
    let accept = format!("kouan dataset accept-finding {dataset}@{name} --column COLUMN --reason TEXT");
    let detail = format!(
        "inspection found more than the manifest declares: {}. Either {raise}; or, if these are nobody's, an officer of an \
         authority accepts what was found, with a reason: {accept}",
        named.join("; ")
    );
    let ways_out = json!([
        {"kind": "raise-class", "who": "broker", "how": raise},
        {"kind": "accept-finding", "who": "compliance officer of an authority that is another participant", "how": accept},
    ]);
    Err(Problem::new(Code::Conflict, detail)
        .with("state", version.state.as_str())
        .with("findings", json!(open))
        .with("ways_out", ways_out))
}

/// One finding for a person.
fn sentence(finding: &Finding) -> String {
    let places: Vec<String> = finding
        .positions
        .iter()
        .take(SHOWN)
        .filter_map(|place| Some(format!("`{}` row {}", place.get("file")?.as_str()?, place.get("row")?.as_u64()?)))
        .collect();
    let places = match (places.is_empty(), finding.rows > places.len() as u64) {
        (true, _) => "in dictionary entries that no row uses".to_owned(),
        (false, true) => format!("in {} rows ({}, …)", finding.rows, places.join(", ")),
        (false, false) => format!("in {}", places.join(", ")),
    };
    format!(
        "column `{}` is declared `{}` and holds {} {places}, which makes it `{}`",
        finding.column,
        finding.declared.as_str(),
        finding.kinds.join(", "),
        finding.found.as_str()
    )
}

/// `POST …/accept-finding`: an officer of an authority that is another participant than the submitter.
pub async fn accept(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<AcceptFinding>,
) -> Result<Response, Refused> {
    let why = reason(&posted.value.reason)?.to_owned();
    let column = posted.value.column;
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut version) = target(caller, Action::Approve, &path, &[VersionState::Inspected])?;
        let own = &caller.principal.participant;
        if [&version.registrant, &version.provider].contains(&own) {
            return Err(Problem::new(
                Code::Forbidden,
                format!("`{own}` registered or provides this version: an officer of another participant accepts"),
            ));
        }
        let open = version.open_findings();
        let Some(finding) = open.iter().find(|finding| finding.column == column) else {
            let columns: Vec<&str> = open.iter().map(|finding| finding.column.as_str()).collect();
            let shown: String = column.chars().take(200).collect();
            let detail = format!("nothing is open in column `{shown}`: what is open is in [{}]", columns.join(", "));
            return Err(Problem::new(Code::Conflict, detail));
        };
        version.accepted.push(AcceptedFinding {
            column: column.clone(),
            kinds: finding.kinds.clone(),
            reason: Change::prose(caller, &gateway.secrets, &why)?,
            by: own.clone(),
            at: caller.now,
        });
        let members = [
            ("dataset", json!(version.dataset)),
            ("version", json!(version.version)),
            ("manifest", json!(version.manifest_digest())),
            ("provider", json!(version.provider)),
            ("columns", leaf::list(std::slice::from_ref(&column))),
            ("identifiers", json!(finding.kinds)),
            ("declared", json!(finding.declared)),
            ("found", json!(finding.found)),
            ("rows", json!(finding.rows)),
        ];
        let mut change = Change::recorded(caller, &gateway.secrets, "finding_accept", members)?;
        // Free text may name somebody: only committed to (INV-10).
        change.commit_to(&gateway.secrets, "reason", &why)?;
        change.replace(DocKind::Version, version_key(&version.dataset, &version.version), revision, &version);
        let answer = json!({
            "dataset": version.dataset,
            "version": version.version,
            "column": column,
            "identifiers": finding.kinds,
            "open": version.open_findings().len(),
        });
        Ok(change.answer(StatusCode::OK, &answer))
    })
    .await
}

#[cfg(test)]
mod tests {
    use catalog::ColumnClass;

    use super::*;

    #[test]
    fn a_finding_says_what_where_and_how_much() {
        let mut finding = Finding {
            column: "note".to_owned(),
            declared: ColumnClass::None,
            found: ColumnClass::Sensitive,
            kinds: vec!["cn_resident_id".to_owned(), "hkid".to_owned()],
            rows: 1,
            positions: vec![json!({"file": "a.parquet", "row": 7})],
        };
        assert_eq!(
            sentence(&finding),
            "column `note` is declared `none` and holds cn_resident_id, hkid in `a.parquet` row 7, which makes it `sensitive`"
        );
        finding.rows = 40;
        assert!(sentence(&finding).contains("in 40 rows (`a.parquet` row 7, …)"), "{}", sentence(&finding));
        finding.positions.clear();
        assert!(sentence(&finding).contains("dictionary entries"), "{}", sentence(&finding));
    }
}
