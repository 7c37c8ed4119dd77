//! Certificates and revocation lists that change while the node runs: on SIGHUP, and when a watched file changes. Streams
//! go on, but for those whose certificate was revoked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::ParticipantId;
use certs::tls::ServerIdentity;
use gateway_store::{CommitError, DocKind, Transaction};
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use crate::clock;
use crate::gateway::{Shared, expect, put};
use crate::leaf;
use crate::listener::watch_files;

const EVERY: Duration = Duration::from_millis(500);

/// Reloads until the task is dropped.
pub async fn run(gateway: Shared, identity: Arc<ServerIdentity>, signal: Arc<Notify>) {
    let server = &gateway.config.server;
    let paths: Vec<PathBuf> =
        [&server.cert, &server.key].into_iter().chain(gateway.config.crl_files.values()).cloned().collect();
    // Lists that were renewed while the node was down.
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
