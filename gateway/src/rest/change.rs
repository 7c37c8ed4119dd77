//! Changes: gather, decide, act. A handler says what should be written for the snapshot it sees; this commits it, and asks
//! again if something else was written first.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Digest, LeaseId};
use gateway_api::{Code, Problem};
use gateway_store::{CommitError, DocKind, Idempotency, LeafRef, LeaseState, Transaction, Write, crashpoint};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Caller, Refused, json_response};
use crate::gateway::{Gateway, Shared, absent, expect, put};
use crate::identity::Principal;
use crate::leaf;
use crate::secrets::{Secrets, SecretsError};
use crate::sessions::Affected;
use crate::snapshot::Snapshot;
use crate::vault::{Author, Vault};

/// Leases that one transaction ends.
const CUTS_MAX: usize = 2000;

/// How often a change is described again because the catalog moved.
const ATTEMPTS_MAX: usize = 8;

/// What is to be written, and what to answer when it is.
#[derive(Debug)]
pub struct Change {
    /// Status of the answer.
    pub status: StatusCode,
    /// The answer; `leaf`, the log index of the change, is added.
    pub body: Value,
    /// The writes.
    pub transaction: Transaction,
    /// Who is behind the leaf's commitments.
    author: Option<Arc<Author>>,
}

impl Change {
    /// An answer that needs nothing written.
    pub fn nothing(status: StatusCode, body: Value, now: Timestamp) -> Self {
        Self { status, body, transaction: Transaction::new(now), author: None }
    }

    /// A change with one leaf of `kind` by the caller, with `members`.
    pub fn recorded(
        caller: &Caller,
        secrets: &Secrets,
        kind: &str,
        members: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Self, Problem> {
        let mut leaf_members = leaf::of(kind);
        let openings =
            leaf::by(&mut leaf_members, &caller.principal, secrets).map_err(crate::admission::unavailable)?;
        for (name, value) in members {
            leaf_members.insert(name.to_owned(), value);
        }
        let mut transaction = Transaction::new(caller.now);
        let leaf = transaction.leaf(leaf_members);
        transaction.writes.extend(openings.of_leaf(leaf));
        let author = secrets.author(&caller.principal).map_err(crate::admission::unavailable)?;
        Ok(Self { status: StatusCode::OK, body: Value::Object(Map::new()), transaction, author: Some(author) })
    }

    /// Sets the answer.
    #[must_use]
    pub fn answer<T: Serialize>(mut self, status: StatusCode, body: &T) -> Self {
        self.status = status;
        self.body = serde_json::to_value(body).unwrap_or_default();
        self
    }

    /// Replaces a document that is still as the snapshot has it.
    pub fn replace<T: Serialize>(&mut self, kind: DocKind, id: String, revision: u64, body: &T) {
        self.transaction.expect.push(expect(kind, id.clone(), revision));
        self.transaction.writes.push(put(kind, id, body));
    }

    /// Adds a document that is not there yet.
    pub fn create<T: Serialize>(&mut self, kind: DocKind, id: String, body: &T) {
        self.transaction.expect.push(absent(kind, id.clone()));
        self.transaction.writes.push(put(kind, id, body));
    }

    /// Ends the affected leases with the change itself: whatever happens after the commit, none of them is granted another
    /// byte. Their streams end when [`Gateway::cut`] is called next.
    pub fn cut(&mut self, gateway: &Gateway, affected: &Affected, reason: &str) -> Result<(), Problem> {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
        let active = gateway.look(|reader| reader.active_leases())?;
        let ids: Vec<LeaseId> = active
            .into_iter()
            .map(|row| row.lease)
            .filter(|lease| affected.covers(lease))
            .map(|lease| lease.id)
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        if let Some(members) = self.transaction.leaves.first_mut() {
            let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
            members.insert("leases".to_owned(), leaf::list(&names));
        }
        let reason = match &self.author {
            Some(author) => gateway.secrets.vault.seal_prose(author, reason).map_err(crate::admission::unavailable)?,
            None => reason.to_owned(),
        };
        // Those beyond one transaction's limit are ended by `Gateway::cut` right after.
        self.transaction.writes.extend(ids.into_iter().take(CUTS_MAX).map(|lease| Write::LeaseState {
            lease,
            state: LeaseState::Cut,
            reason: Some(reason.clone()),
            leaf: Some(LeafRef::This(0)),
        }));
        Ok(())
    }

    /// Adds a member to the change's leaf.
    pub fn note(&mut self, member: &'static str, value: Value) {
        if let Some(members) = self.transaction.leaves.first_mut() {
            members.insert(member.to_owned(), value);
        }
    }

    /// Adds a commitment to `text` to the change's leaf: what people write may name a person (INV-10).
    pub fn commit_to(&mut self, secrets: &Secrets, member: &'static str, text: &str) -> Result<(), Problem> {
        let (Some(members), Some(author)) = (self.transaction.leaves.first_mut(), &self.author) else { return Ok(()) };
        let mut openings = leaf::Openings::of(Arc::clone(author));
        openings.commit(members, member, text.as_bytes(), secrets).map_err(crate::admission::unavailable)?;
        self.transaction.writes.extend(openings.of_leaf(LeafRef::This(0)));
        Ok(())
    }

    /// `text` of the caller as documents keep it.
    pub fn prose(caller: &Caller, secrets: &Secrets, text: &str) -> Result<String, Problem> {
        let author = secrets.author(&caller.principal).map_err(crate::admission::unavailable)?;
        secrets.vault.seal_prose(&author, text).map_err(crate::admission::unavailable)
    }

    /// Adds a write.
    pub fn write(&mut self, write: Write) {
        self.transaction.writes.push(write);
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    status: u16,
    body: Value,
}

/// What makes a request repeatable.
#[derive(Debug, Clone)]
pub struct Repeatable {
    /// Digest of the request.
    pub digest: Digest,
    /// `Idempotency-Key`.
    pub key: Option<String>,
}

/// Commits what `describe` says for the current snapshot.
///
/// # Errors
/// What `describe` refuses; 409 `key_reused`; 503 when it cannot be recorded.
pub async fn execute(
    gateway: &Shared,
    caller: &Caller,
    request: Repeatable,
    describe: impl Fn(&Caller) -> Result<Change, Problem>,
) -> Result<Response, Refused> {
    let (status, body) = execute_value(gateway, caller, request, describe).await?;
    Ok(json_response(status, &body))
}

/// The same, giving the answer as a value.
pub async fn execute_value(
    gateway: &Shared,
    caller: &Caller,
    request: Repeatable,
    describe: impl Fn(&Caller) -> Result<Change, Problem>,
) -> Result<(StatusCode, Value), Problem> {
    if let Some(answer) = answered(gateway, caller, &request)? {
        return Ok(answer);
    }
    let scope = caller.principal.keyed(&gateway.secrets);
    let mut caller = caller.clone();
    for _ in 0..ATTEMPTS_MAX {
        let Change { status, body, mut transaction, .. } = describe(&caller)?;
        if let Some(key) = &request.key {
            let stored = Stored { status: status.as_u16(), body: body.clone() };
            let (scope, key, body) = (scope.clone(), key.clone(), request.digest);
            let response = seal_answer(gateway, &caller, &scope, &key, &stored, &mut transaction)?;
            transaction.idempotency = Some(Idempotency { scope, key, body, response });
        }
        if transaction.leaves.is_empty() && transaction.writes.is_empty() && transaction.idempotency.is_none() {
            return Ok((status, body));
        }
        let has_leaf = !transaction.leaves.is_empty();
        match gateway.records.commit(transaction).await {
            Ok(committed) => {
                crashpoint!("change.before_answer");
                return Ok((status, with_leaf(body, has_leaf.then_some(committed.first_leaf))));
            }
            Err(CommitError::Conflict(_)) => refresh(gateway, &mut caller)?,
            Err(CommitError::Replayed { response, leaf }) => {
                let key = request.key.as_deref().unwrap_or_default();
                return replay(gateway, &scope, key, &response, leaf);
            }
            Err(CommitError::KeyReused { first, second }) => return Err(reused(first, second)),
            Err(CommitError::Leaf { source, .. }) => {
                return Err(Problem::new(Code::BadInput, format!("this does not fit into a log entry: {source}")));
            }
            Err(CommitError::Invalid(detail)) => {
                tracing::error!(detail, "a change cannot be recorded");
                return Err(Problem::new(Code::Internal, "this change cannot be recorded"));
            }
            Err(CommitError::Full) => {
                return Err(Problem::new(Code::Unavailable, "the disk is full: nothing was changed"));
            }
            Err(error) => return Err(crate::admission::unavailable(error)),
        }
    }
    Err(Problem::new(Code::Conflict, "this changes faster than it can be decided on: try again"))
}

/// The stored answer of a request that was made before.
pub fn answered(
    gateway: &Shared,
    caller: &Caller,
    request: &Repeatable,
) -> Result<Option<(StatusCode, Value)>, Problem> {
    let Some(key) = &request.key else { return Ok(None) };
    let scope = caller.principal.keyed(&gateway.secrets);
    let found = gateway.look(|reader| reader.idempotent(&scope, key))?;
    let Some(found) = found else { return Ok(None) };
    if found.body != request.digest {
        return Err(reused(found.body, request.digest));
    }
    replay(gateway, &scope, key, &found.response, found.leaf).map(Some)
}

fn refresh(gateway: &Shared, caller: &mut Caller) -> Result<(), Problem> {
    let snapshot: Arc<Snapshot> = gateway.snapshot();
    caller.now = crate::clock::now();
    // The caller may have lost its place in the meantime.
    let peer = crate::listener::Peer {
        verified: Arc::clone(&caller.principal.verified),
        addr: std::net::SocketAddr::new(caller.principal.address, 0),
        connection: caller.principal.connection.clone(),
    };
    caller.principal = Principal::of(&peer, &snapshot, &gateway.secrets.vault, caller.now)?;
    caller.snapshot = snapshot;
    Ok(())
}

fn with_leaf(mut body: Value, leaf: Option<u64>) -> Value {
    if let (Some(members), Some(leaf)) = (body.as_object_mut(), leaf) {
        members.insert("leaf".to_owned(), json!(leaf));
    }
    body
}

fn replay(
    gateway: &Shared,
    scope: &str,
    key: &str,
    response: &[u8],
    leaf: Option<u64>,
) -> Result<(StatusCode, Value), Problem> {
    let opened = match response.split_first() {
        None => return Err(let_go(leaf)),
        Some((&SEALED, sealed)) => Some(open_answer(gateway, scope, key, sealed)?),
        // An earlier release's, which is JSON as it is.
        _ => None,
    };
    let response = opened.as_deref().unwrap_or(response);
    let stored: Stored = serde_json::from_slice(response).map_err(crate::admission::unavailable)?;
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    Ok((status, with_leaf(stored.body, leaf)))
}

/// Retention has deleted the answer. The request is not run again.
fn let_go(leaf: Option<u64>) -> Problem {
    let detail = "this request was answered long ago, and what was answered is past its time and deleted; what it did \
                  stands in the log"
        .to_owned();
    let problem = Problem::new(Code::Erased, detail);
    match leaf {
        Some(leaf) => problem.with("leaf", json!(leaf)),
        None => problem,
    }
}

/// First byte of a sealed answer; the author's handle and the sealed answer follow.
const SEALED: u8 = 1;

/// An answer repeats what its caller wrote: it is sealed like everything that a person wrote (INV-10).
fn seal_answer(
    gateway: &Shared,
    caller: &Caller,
    scope: &str,
    key: &str,
    answer: &Stored,
    transaction: &mut Transaction,
) -> Result<Vec<u8>, Problem> {
    let author = gateway.secrets.author(&caller.principal).map_err(crate::admission::unavailable)?;
    transaction.writes.extend(author.key());
    let plain = serde_json::to_vec(answer).map_err(crate::admission::unavailable)?;
    kept_answer(&gateway.secrets.vault, &author, (scope, key), &plain).map_err(crate::admission::unavailable)
}

/// An answer, JSON, as it is kept for the request `key` of `scope`.
pub fn kept_answer(
    vault: &Vault,
    author: &Author,
    (scope, key): (&str, &str),
    plain: &[u8],
) -> Result<Vec<u8>, SecretsError> {
    let mut response = vec![SEALED];
    response.extend_from_slice(&author.handle());
    response.append(&mut vault.seal(author, &answer_place(scope, key), plain)?);
    Ok(response)
}

fn open_answer(gateway: &Shared, scope: &str, key: &str, sealed: &[u8]) -> Result<Vec<u8>, Problem> {
    let (handle, sealed) = sealed.split_first_chunk().ok_or_else(|| crate::admission::unavailable("a short answer"))?;
    let opened = gateway.secrets.vault.unseal(Some(*handle), &answer_place(scope, key), "", sealed);
    opened.map_err(crate::admission::unavailable)
}

fn answer_place(scope: &str, key: &str) -> String {
    format!("answer\0{scope}\0{key}")
}

fn reused(first: Digest, second: Digest) -> Problem {
    Problem::new(
        Code::KeyReused,
        format!("this Idempotency-Key was first used for the request {first}; this one is {second}: take a new key"),
    )
    .with("first", json!(first))
    .with("second", json!(second))
}

/// A reason, checked: 1 to 500 characters.
pub fn reason(text: &str) -> Result<&str, Problem> {
    let text = text.trim();
    if (1..=500).contains(&text.chars().count()) {
        return Ok(text);
    }
    Err(Problem::new(Code::BadInput, "give a `reason` of 1 to 500 characters: those it concerns will read it"))
}
