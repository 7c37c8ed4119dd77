//! Flags in a participant's record that an authority's officer sets.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::Participant;
use gateway_store::DocKind;

use super::change::{Change, execute_value};
use super::exchange::Flag;
use super::participants::{find, members, view};
use super::{Caller, Posted, Refused, json_response};
use crate::authz::Action;
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::sessions::Affected;

/// `POST /v1/participants/{id}/restricted`: on the list of PIPL Art. 42, or off it again (CN-20).
pub async fn restricted(
    state: State<Shared>,
    caller: Caller,
    path: Path<String>,
    posted: Posted<Flag>,
) -> Result<Response, Refused> {
    let reason = "the recipient is on the list of restricted recipients";
    set(state, caller, path, posted, reason, |participant, flag| participant.restricted = flag).await
}

/// `POST /v1/participants/{id}/foreign-authority`: its requests serve a foreign judicial or law-enforcement body (DSL
/// Art. 36).
pub async fn foreign_authority(
    state: State<Shared>,
    caller: Caller,
    path: Path<String>,
    posted: Posted<Flag>,
) -> Result<Response, Refused> {
    let reason = "requests of this participant serve a foreign authority";
    set(state, caller, path, posted, reason, |participant, flag| participant.foreign_authority_request = flag).await
}

/// Sets a flag; raising it ends every lease of the participant, since none was decided with it.
async fn set(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    posted: Posted<Flag>,
    reason: &str,
    put: impl Fn(&mut Participant, bool),
) -> Result<Response, Refused> {
    let flag = posted.value.flag;
    let (status, body) = execute_value(&gateway, &caller, posted.request, |caller| {
        let (revision, mut participant) = find(caller, Action::Approve, &name)?;
        put(&mut participant, flag);
        let mut change = Change::recorded(caller, &gateway.secrets, "participant", members(&participant))?;
        change.replace(DocKind::Participant, participant.id.to_string(), revision, &participant);
        if flag {
            change.cut(&gateway, &Affected::Party(participant.id.clone()), reason)?;
        }
        Ok(change.answer(StatusCode::OK, &view(&participant)))
    })
    .await?;
    if flag {
        let (_, participant) = find(&caller, Action::Approve, &name)?;
        gateway.cut(&Affected::Party(participant.id), reason, Some(&caller.principal)).await?;
    }
    Ok(json_response(status, &body))
}
