//! Certificates and revocation lists that change while the node runs: on SIGHUP, and when a watched file changes. Streams
//! go on, but for those whose certificate was revoked. Each server certificate that the node shows is in the log once, so
//! that whoever was shown another one can tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::ParticipantId;
use certs::tls::ServerIdentity;
use gateway_store::{CommitError, DocKind, Transaction};
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use crate::clock;
use crate::gateway::{Shared, absent, expect, put};
use crate::leaf;
use crate::listener::watch_files;

const EVERY: Duration = Duration::from_millis(500);

/// The document that holds the digest of the server certificate that the log knows.
const SERVER_CERTIFICATE: &str = "server-certificate";

/// Reloads until the task is dropped.
pub async fn run(gateway: Shared, identity: Arc<ServerIdentity>, signal: Arc<Notify>) {
    let server = &gateway.config.server;
    let paths: Vec<PathBuf> =
        [&server.cert, &server.key].into_iter().chain(gateway.config.crl_files.values()).cloned().collect();
    // What was renewed while the node was down.
    rotated(&gateway, &identity).await;
    lists(&gateway).await;
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let watching = watch_files(paths, EVERY, move |_: &[&Path]| {
        // One pending reload is enough: it reads every file.
        let _ = changed.try_send(());
    });
    let reloading = async {
        loop {
            tokio::select! {
                () = signal.notified() => {}
                change = changes.recv() => if change.is_none() { return },
            }
            certificate(&gateway, &identity);
            rotated(&gateway, &identity).await;
            lists(&gateway).await;
        }
    };
    tokio::join!(watching, reloading);
}

fn certificate(gateway: &Shared, identity: &ServerIdentity) {
    let server = &gateway.config.server;
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let replaced = read(&server.cert)
        .and_then(|cert| Ok((cert, read(&server.key)?)))
        .and_then(|(cert, key)| identity.replace(&cert, &key).map_err(|error| error.to_string()));
    match replaced {
        Ok(()) => tracing::info!("server certificate loaded"),
        // Perhaps half written: the old one goes on, and the next change is seen.
        Err(error) => tracing::warn!(error, "the server certificate cannot be used; the old one goes on"),
    }
}

/// Says in the log which server certificate is in force, if it is another one than the log says.
async fn rotated(gateway: &Shared, identity: &ServerIdentity) {
    let Some(digest) = identity.cert_sha256() else { return };
    let digest = format!("sha256:{}", digest.to_hex());
    let snapshot = gateway.snapshot();
    let known = snapshot.settings.get(SERVER_CERTIFICATE);
    let previous = known.and_then(|doc| doc.body.as_str());
    if previous == Some(digest.as_str()) {
        return;
    }
    let mut members = leaf::of("cert_rotate");
    members.insert("server_certificate".to_owned(), json!(digest));
    if let Some(previous) = previous {
        members.insert("previous".to_owned(), json!(previous));
    }
    let mut transaction = Transaction::new(clock::now());
    transaction.leaf(members);
    let key = || SERVER_CERTIFICATE.to_owned();
    transaction.expect.push(match known {
        Some(doc) => expect(DocKind::Setting, key(), doc.revision),
        None => absent(DocKind::Setting, key()),
    });
    transaction.writes.push(put(DocKind::Setting, key(), &digest));
    // At the next start or reload it is tried again.
    if let Err(error) = gateway.records.commit(transaction).await {
        tracing::error!(%error, "the change of the server certificate was not recorded");
    }
}

/// Takes every watched list that is newer than the one in force.
async fn lists(gateway: &Shared) {
    let mut taken = false;
    for (participant, path) in &gateway.config.crl_files {
        match list(gateway, participant, path).await {
            Ok(new) => taken |= new,
            Err(error) => tracing::warn!(%participant, error, "a watched revocation list was not taken"),
        }
    }
    if taken && let Err(problem) = gateway.reload_trust() {
        tracing::error!(error = problem.detail, "trust was not reloaded");
    }
}

async fn list(gateway: &Shared, id: &ParticipantId, path: &Path) -> Result<bool, String> {
    let crl = tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())?;
    let now = clock::now();
    let snapshot = gateway.snapshot();
    // Not added yet, or nothing new: both are usual.
    let Some(doc) = snapshot.participants.get(id).filter(|doc| doc.crl.as_deref() != Some(&crl)) else {
        return Ok(false);
    };
    let lists = gateway.trust.check_crl(doc, &crl, now).map_err(|problem| problem.detail)?;
    let mut participant = doc.body.clone();
    participant.crl = Some(crl);
    let mut transaction = Transaction::new(now);
    let mut members = leaf::of("crl_swap");
    members.insert("parties".to_owned(), json!([id]));
    members.insert("trust_domain".to_owned(), json!(participant.trust_domain));
    transaction.leaf(members);
    transaction.expect.push(expect(DocKind::Participant, id.to_string(), doc.revision));
    transaction.writes.extend(gateway.crl_numbers(&lists).map_err(|problem| problem.detail)?);
    transaction.writes.push(put(DocKind::Participant, id.to_string(), &participant));
    match gateway.records.commit(transaction).await {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict(_)) => Err("the participant's record changed at the same time".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
