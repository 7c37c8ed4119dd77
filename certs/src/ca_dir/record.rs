//! `issued.jsonl`: one JSON object a line, appended and synced, never rewritten.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::authority::{Revocation, RevocationReason, ServerNames};
use crate::files::{self, FileError};
use crate::identifiers::{CertSha256, CrlNumber, Serial};
use crate::spiffe::SpiffeId;

/// Largest record that is read: over 300,000 certificates.
const RECORD_BYTES_MAX: u64 = 128 << 20;

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line that is not one of ours. Nothing is done until a person has looked at it.
    #[error("`{}` line {line} cannot be read: {reason}", path.display())]
    Line {
        /// Which record.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the JSON reader said.
        reason: String,
    },
}

/// Whom a certificate was issued to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuedTo {
    /// A principal.
    Client(SpiffeId),
    /// A server.
    Server(ServerNames),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A certificate was issued.
    Issued {
        /// When.
        at: Timestamp,
        /// Its serial.
        serial: Serial,
        /// To whom.
        to: IssuedTo,
        /// Its digest.
        x5t_s256: CertSha256,
        /// When it ends.
        not_after: Timestamp,
    },
    /// A certificate was revoked.
    Revoked {
        /// When.
        at: Timestamp,
        /// Its serial.
        serial: Serial,
        /// Why.
        reason: RevocationReason,
    },
    /// A CRL number was used.
    Crl {
        /// When.
        at: Timestamp,
        /// Which.
        number: CrlNumber,
        /// When that list becomes stale.
        next_update: Timestamp,
    },
}

/// The record, locked for this process while it is open.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
    bytes: u64,
    events: Vec<Event>,
    issued: BTreeSet<Serial>,
}

impl Record {
    pub(super) fn open(path: &Path) -> Result<Self, RecordError> {
        let failed = |doing| move |source| FileError::io(doing, path, source);
        let file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(failed("open"))?;
        file.lock().map_err(failed("lock"))?;
        let mut bytes = Vec::new();
        (&file).take(RECORD_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed("read"))?;
        if bytes.len() as u64 > RECORD_BYTES_MAX {
            return Err(FileError::TooLarge { path: path.to_owned(), max: RECORD_BYTES_MAX }.into());
        }
        // A line without its end was cut by a crash before it was synced, so nothing that it
        // tells was done: it goes.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(failed("shorten"))?;
            file.sync_all().map_err(failed("sync"))?;
            bytes.truncate(whole);
        }
        if whole == 0 {
            files::sync_parent(path)?;
        }
        let mut record =
            Self { path: path.to_owned(), file, bytes: whole as u64, events: Vec::new(), issued: BTreeSet::new() };
        for (position, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let event = serde_json::from_slice(line).map_err(|error| RecordError::Line {
                path: path.to_owned(),
                line: position + 1,
                reason: error.to_string(),
            })?;
            record.remember(event);
        }
        Ok(record)
    }

    /// Appends an event; it is durable when this returns.
    pub(super) fn append(&mut self, event: Event) -> Result<(), RecordError> {
        let mut line = serde_json::to_vec(&event).map_err(|error| RecordError::Line {
            path: self.path.clone(),
            line: self.events.len() + 1,
            reason: error.to_string(),
        })?;
        line.push(b'\n');
        let appended = self.file.write_all(&line).and_then(|()| self.file.sync_all());
        if let Err(source) = appended {
            // Half a line would spoil the next one. Should this fail as well, the next
            // opening drops what has no end.
            let _ = self.file.set_len(self.bytes);
            return Err(FileError::io("append to", &self.path, source).into());
        }
        self.bytes += line.len() as u64;
        self.remember(event);
        Ok(())
    }

    fn remember(&mut self, event: Event) {
        if let Event::Issued { serial, .. } = &event {
            self.issued.insert(serial.clone());
        }
        self.events.push(event);
    }

    pub(super) fn issued(&self, serial: &Serial) -> bool {
        self.issued.contains(serial)
    }

    pub(super) fn revoked(&self) -> impl Iterator<Item = Revocation> + '_ {
        self.events.iter().filter_map(|event| match event {
            Event::Revoked { at, serial, reason } => {
                Some(Revocation { serial: serial.clone(), at: *at, reason: *reason })
            }
            _ => None,
        })
    }

    pub(super) fn last_crl_number(&self) -> Option<CrlNumber> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Crl { number, .. } => Some(*number),
                _ => None,
            })
            .max()
    }
}
