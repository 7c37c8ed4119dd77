//! Two compliance officers of an authority: the first asks, another one confirms (DESIGN.md, authorisation matrix).

use axum::http::StatusCode;
use catalog::{Digest, ParticipantId};
use gateway_api::{Code, Problem};
use gateway_store::DocKind;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Caller;
use super::change::Change;
use crate::secrets::Secrets;

/// How long a first signature waits for the second.
const WAITS: SignedDuration = SignedDuration::from_hours(72);

#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    /// Keyed hash of the first officer.
    officer: String,
    participant: ParticipantId,
    /// What exactly was asked for.
    body: Digest,
    at: Timestamp,
    open: bool,
}

/// Whether this call is the second signature under `action` on `target` with the same `body`.
#[derive(Debug)]
pub enum Signature {
    /// It is: the change may be made; `close` goes with it.
    Second(Close),
    /// It is the first: this change records it.
    First(Box<Change>),
}

/// Closes the first signature.
#[derive(Debug)]
pub struct Close {
    key: String,
    revision: u64,
    pending: Pending,
}

impl Close {
    /// The digest of what both signed, as the entry of the first signature has it.
    pub const fn signed(&self) -> Digest {
        self.pending.body
    }

    /// Adds the closing to the change that the second signature makes.
    pub fn with(self, change: &mut Change) {
        change.replace(DocKind::Setting, self.key, self.revision, &self.pending);
    }
}

/// Takes the caller's signature.
pub fn sign(
    caller: &Caller,
    secrets: &Secrets,
    action: &str,
    target: &str,
    body: Digest,
) -> Result<Signature, Problem> {
    // Keyed: what was signed may hold a name or a reason, which could be found by trying from a plain digest in the log.
    let body = secrets.keyed_digest("signed", body.as_bytes());
    let key = format!("dual:{action}:{target}");
    let officer = caller.principal.keyed(secrets);
    let stored = caller.snapshot.settings.get(&key);
    let open: Option<(u64, Pending)> = stored
        .and_then(|doc| Some((doc.revision, serde_json::from_value::<Pending>(doc.body.clone()).ok()?)))
        .filter(|(_, pending)| pending.open && pending.body == body && pending.at.duration_until(caller.now) < WAITS);
    if let Some((revision, mut pending)) = open {
        if pending.officer == officer {
            return Err(Problem::new(
                Code::Conflict,
                "you have signed this already: a second compliance officer of an authority has to confirm it",
            ));
        }
        pending.open = false;
        return Ok(Signature::Second(Close { key, revision, pending }));
    }
    let pending =
        Pending { officer, participant: caller.principal.participant.clone(), body, at: caller.now, open: true };
    let members = [("action", json!(action)), ("target", json!(target)), ("body", json!(body))];
    let mut change = Change::recorded(caller, secrets, "first_signature", members)?;
    match stored {
        Some(doc) => change.replace(DocKind::Setting, key, doc.revision, &pending),
        None => change.create(DocKind::Setting, key, &pending),
    }
    let answer = json!({"state": "awaiting_second_officer", "action": action, "target": target});
    Ok(Signature::First(Box::new(change.answer(StatusCode::ACCEPTED, &answer))))
}
