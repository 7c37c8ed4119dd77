//! `POST /v1/audit/{index}/disclosures`: opens chosen members of one leaf for an auditor. That it was done is a leaf itself.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gateway_api::privacy::Disclose;
use gateway_api::{Code, Problem};
use gateway_audit::{DisclosedField, Disclosure};
use serde_json::json;

use super::change::{Change, reason};
use super::{Caller, Posted, Refused, json_response};
use crate::authz::Action;
use crate::gateway::Shared;
use crate::leaf::place;
use crate::rest::path::Path;
use crate::vault::UnsealError;

/// Members that one disclosure opens.
const FIELDS_MAX: usize = 16;

/// An authority's officer; the answer is for the auditor and kept nowhere, so that a repeated request is another disclosure.
pub async fn disclose(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(index): Path<String>,
    posted: Posted<Disclose>,
) -> Result<Response, Refused> {
    caller.may(Action::Disclose)?;
    let body = posted.value;
    let (why, to) = (reason(&body.reason)?, body.to.trim());
    if !(1..=200).contains(&to.chars().count()) {
        return Err(Problem::new(Code::BadInput, "`to` is who gets it, in 1 to 200 characters").into());
    }
    if !(1..=FIELDS_MAX).contains(&body.fields.len()) {
        return Err(Problem::new(Code::BadInput, format!("name 1 to {FIELDS_MAX} `fields` to open")).into());
    }
    let (index, _, leaf) = super::audit::leaf(&gateway, &caller, &index)?;
    let rows = gateway.look(|reader| reader.openings(index))?;
    let mut fields = Vec::with_capacity(body.fields.len());
    for field in &body.fields {
        let row = rows.iter().find(|row| row.field == *field);
        let (Some(row), Some(commitment)) = (row, leaf.text(field)) else {
            let known: Vec<&str> = rows.iter().map(|row| row.field.as_str()).collect();
            let detail = if known.is_empty() {
                format!("entry {index} commits to nothing that can be opened here (any more)")
            } else {
                format!("entry {index} does not commit to that member: it commits to {}", known.join(", "))
            };
            return Err(Problem::new(Code::NotFound, detail).into());
        };
        let vault = &gateway.secrets.vault;
        let opened = vault.unseal(row.subject, &place(commitment, field), field, &row.sealed);
        let opened = opened.map_err(|error| match error {
            UnsealError::Erased(erased) => {
                Problem::new(Code::Erased, format!("`{field}` of entry {index} was {error}")).at_leaf(erased.leaf)
            }
            error => crate::admission::unavailable(error),
        })?;
        let (salt, value) =
            opened.split_at_checked(32).ok_or_else(|| crate::admission::unavailable("a short opening"))?;
        fields.push(DisclosedField::new(field, salt, value));
    }
    let members = [("read", json!("disclosure")), ("index", json!(index)), ("fields", json!(body.fields))];
    let mut change = Change::recorded(&caller, &gateway.secrets, "access", members)?;
    change.commit_to(&gateway.secrets, "to", to)?;
    change.commit_to(&gateway.secrets, "reason", why)?;
    // Recorded first: nothing is disclosed that no entry tells of.
    let committed = gateway.records.commit(change.transaction).await.map_err(crate::admission::unavailable)?;
    let disclosure = Disclosure {
        origin: gateway.config.origin.clone(),
        index,
        leaf: leaf.members().clone(),
        fields,
        access: committed.first_leaf,
    };
    Ok(json_response(StatusCode::OK, &disclosure))
}
