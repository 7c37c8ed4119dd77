//! `POST /v1/leases/{id}/acks` and the Flight action `ack`: a consumer signs for the units it has (LEDGER.md, 2.2).
//!
//! An acknowledgement is taken once. The same one again gets the same answer for ever; another one under its number, one
//! out of order, forged, or of what was never sent changes nothing, is counted and says why. Three forged ones suspend the
//! lease (`strikes`).

mod strikes;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::{Digest, FileIndex, LeaseId};
use gateway_api::exchange::{Money, ReceiptView, SignedAck};
use gateway_api::{Code, Problem};
use gateway_ledger::{Ack, IntervalSet};
use gateway_store::{CommitError, Expect, Lease, Receipt, ReceiptRow, Write, crashpoint};
use serde_json::json;

use super::change::Change;
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::rest::path::Path;

/// How often an acknowledgement is looked at again because another came first.
const ATTEMPTS_MAX: usize = 4;

/// `POST /v1/leases/{id}/acks`.
pub async fn post(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<SignedAck>,
) -> Result<Response, Refused> {
    let signed = posted.value;
    if signed.ack.lease.as_str() != id {
        return Err(Problem::new(
            Code::BadInput,
            format!("the acknowledgement is of lease `{}`, not of `{id}`", signed.ack.lease),
        )
        .into());
    }
    Ok(json_response(StatusCode::OK, &take(&gateway, &caller, &signed).await?))
}

/// The Flight action: the same JSON as its body.
pub async fn action(gateway: &Shared, caller: &Caller, body: &[u8]) -> Result<Vec<u8>, Problem> {
    let signed: SignedAck = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Code::BadInput, format!("the body is no signed acknowledgement: {error}")))?;
    let answer = take(gateway, caller, &signed).await?;
    serde_json::to_vec(&answer).map_err(crate::admission::unavailable)
}

/// How many forged acknowledgements came under `lease`.
pub fn forged(caller: &Caller, lease: &Lease) -> u32 {
    strikes::count(caller, lease)
}

/// A receipt as the parties see it.
pub fn view(lease: &LeaseId, row: &ReceiptRow) -> ReceiptView {
    ReceiptView {
        lease: lease.clone(),
        seq: row.number,
        ack: row.ack,
        unit_bytes: row.unit_bytes,
        new_unit_bytes: row.new_bytes,
        amount: Money { amount: row.amount.0.to_string(), currency: row.currency },
        leaf: row.leaf,
        at: clock::text(row.at),
    }
}

async fn take(gateway: &Shared, caller: &Caller, signed: &SignedAck) -> Result<ReceiptView, Problem> {
    authorise(&caller.principal, Action::Consume)?;
    let ack = &signed.ack;
    let missing = || Problem::new(Code::NotFound, format!("there is no lease `{}` for you", ack.lease));
    let row = gateway.look(|reader| reader.lease(&ack.lease))?.ok_or_else(missing)?;
    let lease = row.lease;
    if lease.principal != caller.principal.keyed(&gateway.secrets) {
        return Err(missing());
    }
    if let Err(problem) = verify(caller, ack, &signed.signature) {
        strikes::refused(if problem.code == Code::Forbidden { "forged" } else { "malformed" });
        return Err(if problem.code == Code::Forbidden {
            strikes::forged(gateway, caller, &lease, problem).await
        } else {
            problem
        });
    }
    crashpoint!("s9.verified");
    let digest = ack.digest();
    if let Some(answer) = earlier(gateway, &lease, ack.seq, digest)? {
        return Ok(answer);
    }
    let units = units(gateway, caller, &lease, ack).await.inspect_err(|_| strikes::refused("out_of_range"))?;
    // What the consumer has just read may still be on its way into the store.
    gateway.settler.settled().await;
    for _ in 0..ATTEMPTS_MAX {
        let change = receipt(gateway, caller, &lease, signed, digest, &units)?;
        match gateway.records.commit(change.transaction).await {
            Ok(_) => crashpoint!("s11.before_answer"),
            Err(CommitError::Conflict(Expect::NextAck { .. })) => {}
            Err(CommitError::Conflict(Expect::Delivered { file, .. })) => {
                strikes::refused("out_of_range");
                return Err(Problem::new(
                    Code::Conflict,
                    format!(
                        "not all of these units of file {file} were sent under this lease's agreement, or not wholly: \
                         acknowledge what has arrived; if it has just arrived, try again"
                    ),
                )
                .with("file", json!(file))
                .with("retry_after", 1));
            }
            Err(CommitError::Full) => {
                return Err(Problem::new(Code::Unavailable, "the disk is full: nothing was changed"));
            }
            Err(error) => return Err(crate::admission::unavailable(error)),
        }
        if let Some(answer) = earlier(gateway, &lease, ack.seq, digest)? {
            return Ok(answer);
        }
        let next = gateway.look(|reader| reader.receipts(&lease.id))?.last().map_or(1, |row| row.number + 1);
        if next != ack.seq {
            strikes::refused("out_of_order");
            return Err(Problem::new(
                Code::Conflict,
                format!("`seq` is {}, the next acknowledgement of this lease is {next}", ack.seq),
            )
            .with("next", next));
        }
    }
    Err(Problem::new(Code::Unavailable, "acknowledgements of this lease come faster than they can be taken: try again"))
}

/// The signature is by the key of the certificate that this connection was opened with.
fn verify(caller: &Caller, ack: &Ack, signature: &str) -> Result<(), Problem> {
    let bytes = STANDARD
        .decode(signature)
        .map_err(|_| Problem::new(Code::BadInput, "`signature` is the signature in base64, with padding"))?;
    let certificate = caller.principal.connection.chain().first();
    let certificate = certificate.ok_or_else(|| Problem::new(Code::Unauthenticated, "no verified certificate"))?;
    certs::signature::verify(certificate, &ack.signed_bytes(), &bytes).map_err(|error| {
        Problem::new(
            Code::Forbidden,
            format!(
                "{error}: sign `hkqh-receipt/v1`, a line feed and the canonical JSON (RFC 8785) of `ack` with the key of \
                 this connection's certificate"
            ),
        )
    })
}

/// What was answered under this number before.
fn earlier(gateway: &Shared, lease: &Lease, number: u64, digest: Digest) -> Result<Option<ReceiptView>, Problem> {
    let Some(row) = gateway.look(|reader| reader.receipt(&lease.id, number))? else { return Ok(None) };
    if row.ack == digest {
        return Ok(Some(view(&lease.id, &row)));
    }
    strikes::refused("replayed");
    Err(Problem::new(
        Code::KeyReused,
        format!("acknowledgement {number} of this lease is {}; this one is {digest}: take the next number", row.ack),
    )
    .with("first", json!(row.ack))
    .with("second", json!(digest)))
}

type Units = Vec<(Arc<FileIndex>, IntervalSet)>;

/// The stored bytes of the units it names, out of the lease's version and columns.
async fn units(gateway: &Shared, caller: &Caller, lease: &Lease, ack: &Ack) -> Result<Units, Problem> {
    let version = caller
        .snapshot
        .version(&lease.dataset, &lease.version)
        .ok_or_else(|| Problem::new(Code::NotFound, "the lease's version is gone"))?;
    let manifest = version.manifest_digest();
    if ack.manifest != manifest {
        return Err(Problem::new(
            Code::BadInput,
            format!("`manifest` is {}, that of the lease's version is {manifest}", ack.manifest),
        ));
    }
    let mut indexes: BTreeMap<Digest, Arc<FileIndex>> = BTreeMap::new();
    for entry in &version.files {
        let named = ack.units.iter().find(|units| units.file.hex() == entry.sha256);
        if let Some(named) = named {
            let index = gateway.files.index(entry).await.map_err(crate::admission::unavailable)?;
            indexes.insert(named.file, index);
        }
    }
    let found = ack
        .intervals(&lease.columns, |file| indexes.get(file).map(AsRef::as_ref))
        .map_err(|error| Problem::new(Code::BadInput, error.to_string()))?;
    Ok(found.into_iter().filter_map(|(file, units)| Some((Arc::clone(indexes.get(&file)?), units))).collect())
}

fn receipt(
    gateway: &Shared,
    caller: &Caller,
    lease: &Lease,
    signed: &SignedAck,
    digest: Digest,
    units: &Units,
) -> Result<Change, Problem> {
    let ack = &signed.ack;
    let named: Vec<String> =
        ack.units.iter().map(|units| format!("{} {} {:?}", units.file, units.column, units.row_groups)).collect();
    let record = &caller.principal.record;
    let above = caller.principal.connection.chain().iter().skip(1);
    let issuers: Vec<Digest> = above.map(|certificate| Digest::of(certificate)).collect();
    let members = [
        ("lease", json!(lease.id)),
        ("agreement", json!(lease.agreement)),
        ("provider", json!(lease.provider)),
        ("dataset", json!(lease.dataset)),
        ("version", json!(lease.version)),
        ("manifest", json!(ack.manifest)),
        ("seq", json!(ack.seq)),
        ("ack", json!(digest)),
        ("units", json!({"count": named.len(), "digest": Digest::of(named.join("\n").as_bytes())})),
        ("unit_bytes", json!(units.iter().map(|(_, units)| units.len()).sum::<u64>().to_string())),
        // What the certificate was judged by at that instant, so that a later revocation does not undo the receipt. These
        // are of authorities; the certificate itself names a person and is committed to.
        ("issuers", json!(issuers)),
        ("roots", json!(Digest::of(record.ca.as_bytes()))),
        ("crl", json!(record.crl.as_ref().map(|crl| Digest::of(crl.as_bytes())))),
    ];
    let mut change = Change::recorded(caller, &gateway.secrets, "receipt", members)?;
    change.commit_to(&gateway.secrets, "signature", &signed.signature)?;
    let certificate = caller.principal.connection.chain().first().map(|der| STANDARD.encode(der));
    // An ECDSA signature gives its key away, and the certificate names a person: both are sealed (INV-10).
    let evidence = json!({"signature": signed.signature, "certificate": certificate}).to_string();
    let author = gateway.secrets.author(&caller.principal).map_err(crate::admission::unavailable)?;
    let evidence = gateway
        .secrets
        .vault
        .seal(&author, &place(&lease.id, &digest), evidence.as_bytes())
        .map_err(crate::admission::unavailable)?;
    change.write(Write::Receipt(Box::new(Receipt {
        lease: lease.id.clone(),
        number: ack.seq,
        ack: digest,
        body: serde_json_canonicalizer::to_vec(ack).map_err(crate::admission::unavailable)?,
        evidence,
        subject: author.handle(),
        units: units.clone(),
        leaf: gateway_store::LeafRef::This(0),
    })));
    Ok(change)
}

/// What binds evidence to its acknowledgement.
pub fn place(lease: &LeaseId, ack: &Digest) -> String {
    format!("receipt\0{lease}\0{ack}")
}
