//! What a log does about a witness's answer, pure.

use super::SIZE_MEDIA_TYPE;
use super::cosignature::CosignerKey;
use super::request::AddCheckpoint;
use crate::checkpoint::{SignedCheckpoint, parse_decimal};
use crate::note::NoteSignature;
use crate::tree::NodeHash;

/// Longest answer that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A checkpoint on its way to one witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Size that the witness is believed to have cosigned last.
    pub old: u64,
    /// What it is asked to cosign.
    pub checkpoint: SignedCheckpoint,
}

/// What a witness said over HTTP.
#[derive(Debug, Clone, Copy)]
pub struct WitnessReply<'a> {
    /// Status.
    pub status: u16,
    /// `Content-Type`, if there was one.
    pub media_type: Option<&'a str>,
    /// Body.
    pub body: &'a [u8],
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The witness cosigned, at this time in seconds since 1970.
    Cosigned {
        /// Its line, checked.
        line: NoteSignature,
        /// When, by the witness's clock.
        time: u64,
    },
    /// It has seen another size, not beyond the checkpoint: submit again from that size.
    Resend {
        /// What it has seen.
        old: u64,
    },
    /// It has seen more of this log than the checkpoint has: a newer checkpoint, or a log that lost its end.
    Ahead {
        /// What it has seen.
        seen: u64,
    },
    /// It has seen another history of this log. Nothing may go on before a person has looked.
    Fork {
        /// In plain words.
        why: String,
    },
    /// It does not cosign for a reason that time may mend, or an operator: try again later.
    Later {
        /// In plain words.
        why: String,
    },
}

impl Submission {
    /// The request's body. `prove` makes the consistency proof from the old size to the checkpoint's; it is not asked
    /// where nothing is to be proven.
    ///
    /// # Errors
    ///
    /// What `prove` says.
    pub fn body<E>(&self, prove: impl FnOnce(u64) -> Result<Vec<NodeHash>, E>) -> Result<String, E> {
        let proof = match self.old {
            0 => Vec::new(),
            old => prove(old)?,
        };
        Ok(AddCheckpoint { old: self.old, proof, checkpoint: self.checkpoint.clone() }.to_text())
    }

    /// Judges what the witness with `key` answered.
    pub fn judge(&self, key: &CosignerKey, reply: &WitnessReply<'_>) -> Answer {
        let size = self.checkpoint.checkpoint().size;
        match reply.status {
            200 => self.cosignature(key, reply.body),
            409 => match conflict(reply) {
                None => later("it answered 409 without the size that it has seen".to_owned()),
                Some(seen) if seen > size => Answer::Ahead { seen },
                // We asked from this very size: then it is the root that is another.
                Some(seen) if seen == self.old && seen == size => {
                    Answer::Fork { why: format!("it has cosigned another tree of {seen} entries of this log") }
                }
                Some(seen) if seen == self.old => {
                    later(format!("it answered 409 with the size {seen}, from which it was asked"))
                }
                Some(seen) => Answer::Resend { old: seen },
            },
            422 => Answer::Fork {
                why: format!(
                    "what it has seen of this log, {} entries, is not the beginning of these {size} entries",
                    self.old
                ),
            },
            404 => later("it does not know this log: its operator has to add the log's key".to_owned()),
            403 => later("it does not accept the log's signature: it may know another key of the log".to_owned()),
            status => later(format!("it answered {status}")),
        }
    }

    /// Lines of unknown keys are ignored.
    fn cosignature(&self, key: &CosignerKey, body: &[u8]) -> Answer {
        let lines = std::str::from_utf8(body).ok().and_then(|text| NoteSignature::parse_lines(text).ok());
        let Some(lines) = lines else {
            return later("its answer is not a signature line".to_owned());
        };
        let own = lines.into_iter().find(|line| line.name == key.name() && line.id == key.id());
        let Some(line) = own else {
            return later("its answer has no line of the key in the policy".to_owned());
        };
        let signed = self.checkpoint.with_signatures(vec![line.clone()]);
        match signed.and_then(|signed| key.cosigned(signed.note())) {
            Ok(Some(time)) => Answer::Cosigned { line, time },
            _ => Answer::Fork { why: "its cosignature is not over the checkpoint that was sent".to_owned() },
        }
    }
}

fn later(why: String) -> Answer {
    Answer::Later { why }
}

/// The size in a 409, if that is what it is.
fn conflict(reply: &WitnessReply<'_>) -> Option<u64> {
    let media_type = reply.media_type?.split(';').next()?.trim();
    if !media_type.eq_ignore_ascii_case(SIZE_MEDIA_TYPE) {
        return None;
    }
    parse_decimal(std::str::from_utf8(reply.body).ok()?.strip_suffix('\n')?)
}
