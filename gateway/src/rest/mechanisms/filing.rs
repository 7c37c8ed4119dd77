//! The day of filing, recorded when it is there; and documents by digest.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Document, Filing, MechanismKind, MechanismState};
use gateway_api::mechanism::RecordFiling;
use gateway_api::{Code, Problem};
use gateway_store::DocKind;
use serde_json::{Value, json};

use super::{date, due, find, members};
use crate::authz::{Action, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::leaf;
use crate::rest::change::{Change, execute};
use crate::rest::path::Path;
use crate::rest::{Caller, Posted, Refused};

/// Documents of one mechanism.
const DOCUMENTS_MAX: usize = 16;

/// Refuses documents that cannot be: too many, without a name, twice the same.
pub fn check_documents(documents: &[Document]) -> Result<(), Problem> {
    let bad = |detail: String| Err(Problem::new(Code::BadInput, detail));
    if documents.len() > DOCUMENTS_MAX {
        return bad(format!("`documents` lists {DOCUMENTS_MAX} at most"));
    }
    for (number, document) in documents.iter().enumerate() {
        let length = document.name.trim().chars().count();
        if !(1..=200).contains(&length) || document.name.chars().any(char::is_control) {
            return bad(format!("`documents[{number}].name` is 1 to 200 characters, none of them a control character"));
        }
        if documents.iter().take(number).any(|earlier| earlier.sha256 == document.sha256) {
            return bad(format!("`documents[{number}]` has the digest of an earlier one: list each once"));
        }
    }
    Ok(())
}

/// Documents as a leaf holds them: a name may be a person's, a digest is not.
pub fn digests(documents: &[Document]) -> Value {
    let digests: Vec<String> = documents.iter().map(|document| document.sha256.to_string()).collect();
    leaf::list(&digests)
}

/// `POST /v1/mechanisms/{id}/filed`: a party records that the contract was filed. It counts once it is confirmed; until then
/// the mechanism is what it was.
pub async fn filed(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<RecordFiling>,
) -> Result<Response, Refused> {
    let body = posted.value;
    execute(&gateway, &caller, posted.request, |caller| {
        let scope = authorise(&caller.principal, Action::AddMechanism)?;
        let (revision, mut mechanism) = find(caller, &scope, &id)?;
        let filed = date("filed", &body.filed)?;
        if filed > clock::today(caller.now) {
            return Err(Problem::new(Code::BadInput, format!("`filed` is `{filed}`: that day has not come yet")));
        }
        check_documents(&body.documents)?;
        if mechanism.documents.len() + body.documents.len() > DOCUMENTS_MAX {
            let detail = format!("a mechanism has {DOCUMENTS_MAX} documents at most");
            return Err(Problem::new(Code::BadInput, detail));
        }
        if mechanism.state == MechanismState::Revoked {
            return Err(Problem::new(Code::Conflict, "it is revoked: nothing of it changes any more"));
        }
        if !matches!(mechanism.kind, MechanismKind::Sc | MechanismKind::GbaSc) {
            let detail = "a certificate or an assessment is not filed: it was issued";
            return Err(Problem::new(Code::Conflict, detail));
        }
        if mechanism.filed == Some(filed) {
            return Err(Problem::new(Code::Conflict, format!("it is on record already that it was filed on {filed}")));
        }
        mechanism.filing = Some(Filing {
            filed,
            documents: body.documents.clone(),
            recorded_by: caller.principal.participant.clone(),
            at: caller.now,
        });
        let mut change = Change::recorded(caller, &gateway.secrets, "mechanism_filed", members(&mechanism))?;
        change.note("filed", json!(filed));
        change.note("documents", digests(&body.documents));
        change.replace(DocKind::Mechanism, mechanism.id.to_string(), revision, &mechanism);
        Ok(change.answer(StatusCode::OK, &due::view(&gateway, &mechanism, caller.now)))
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use catalog::Digest;

    fn document(name: &str, bytes: &[u8]) -> Document {
        Document { name: name.to_owned(), sha256: Digest::of(bytes) }
    }

    #[test]
    fn documents_have_a_name_and_are_listed_once() {
        assert!(check_documents(&[document("备案表.pdf", b"1"), document("备案表.pdf", b"2")]).is_ok());
        let many: Vec<Document> = (0..=16_u8).map(|number| document("a", &[number])).collect();
        for (bad, why) in [
            (vec![document(" ", b"1")], "documents[0].name"),
            (vec![document("a\nb", b"1")], "documents[0].name"),
            (vec![document(&"x".repeat(201), b"1")], "documents[0].name"),
            (vec![document("a", b"1"), document("b", b"1")], "documents[1]"),
            (many, "16 at most"),
        ] {
            assert!(check_documents(&bad).unwrap_err().detail.contains(why), "{why}");
        }
    }
}
