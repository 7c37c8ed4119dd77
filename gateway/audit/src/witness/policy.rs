//! C2SP tlog-policy: which logs and witnesses are trusted, and whose cosignatures make a quorum.
//!
//! ```text
//! log     gw.example/audit+…
//! witness hk1 witness.hku.example/hk1+… https://…
//! witness qh1 witness.qianhai.example/qh1+… https://…
//! group   HK any hk1
//! group   QH any qh1
//! group   BORDER all HK QH
//! quorum  BORDER
//! ```

use std::fmt;

use serde::Serialize;

use super::cosignature::CosignerKey;
use crate::checkpoint::SignedCheckpoint;
use crate::note::{NoteError, VerifierKey};

mod parse;

/// Longest policy that is read, in bytes.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;

/// Most lines of a kind.
pub const POLICY_NAMES_MAX: usize = 256;

/// Why a text is no policy, or a checkpoint does not meet one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A line is wrong.
    #[error("line {line} of the policy: {why}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong and what would be right.
        why: String,
    },
    /// The whole is wrong.
    #[error("the policy {0}")]
    Whole(&'static str),
    /// No log of the policy signed the checkpoint.
    #[error("no log of the policy signed the checkpoint of `{origin}`: {why}")]
    Log {
        /// The checkpoint's.
        origin: String,
        /// What the last key said.
        why: String,
    },
    /// The quorum is missing.
    #[error("{0}")]
    Quorum(String),
    /// A witness's line is not over this checkpoint.
    #[error(transparent)]
    Cosignature(#[from] NoteError),
}

/// A log of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key; the key's name is the log's origin.
    pub key: VerifierKey,
    /// Where it is.
    pub url: Option<String>,
}

/// A witness of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Its name within the policy.
    pub name: String,
    /// Its key.
    pub key: CosignerKey,
    /// Prefix of its `add-checkpoint`.
    pub url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    threshold: usize,
    members: Vec<Member>,
}

/// A trust policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPolicy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// One witness's part in what was witnessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cosignature {
    /// The part of the quorum that it counts for: `HK`, `QH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// The witness's name in the policy.
    pub witness: String,
    /// The name of its key.
    pub key: String,
    /// When, by its own clock, in seconds since 1970.
    pub time: u64,
}

/// How far a checkpoint was witnessed. Prints as `witnessed by HK hk1, QH qh1` or `unwitnessed…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witnessed {
    /// Whether the policy's quorum cosigned it. Never without a quorum rule.
    pub quorum: bool,
    /// When the last cosignature that the quorum needs was made, by the witnesses' clocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Who cosigned, in the policy's order.
    pub by: Vec<Cosignature>,
    /// Parts of the quorum that are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl WitnessPolicy {
    /// Reads a policy file.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Line`] and [`PolicyError::Whole`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        parse::policy(bytes)
    }

    /// The logs that it accepts.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses that it names.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether it has a quorum rule: `quorum none` has not.
    pub fn has_quorum(&self) -> bool {
        self.quorum.is_some()
    }

    /// Checks that a log of the policy signed `checkpoint`. A policy without logs leaves that to the caller.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Log`].
    pub fn verify_log(&self, checkpoint: &SignedCheckpoint) -> Result<(), PolicyError> {
        if self.logs.is_empty() {
            return Ok(());
        }
        let origin = &checkpoint.checkpoint().origin;
        let mut why = "it is not listed".to_owned();
        for log in self.logs.iter().filter(|log| log.key.name() == origin) {
            match checkpoint.verify(&log.key) {
                Ok(_) => return Ok(()),
                Err(error) => why = error.to_string(),
            }
        }
        Err(PolicyError::Log { origin: origin.clone(), why })
    }

    /// Who cosigned `checkpoint`, and whether they are a quorum. Lines of unknown keys are ignored; the log's own
    /// signature is not looked at ([`WitnessPolicy::verify_log`]).
    ///
    /// # Errors
    ///
    /// [`PolicyError::Cosignature`] if a line by a witness's key does not verify.
    pub fn judge(&self, checkpoint: &SignedCheckpoint) -> Result<Witnessed, PolicyError> {
        let note = checkpoint.note();
        let mut times = Vec::with_capacity(self.witnesses.len());
        for witness in &self.witnesses {
            times.push(witness.key.cosigned(note)?);
        }
        let mut order: Vec<u64> = times.iter().flatten().copied().collect();
        order.sort_unstable();
        let since = order.into_iter().find(|moment| {
            self.quorum.is_some_and(|quorum| {
                self.holds(quorum, &|at| times.get(at).is_some_and(|time| time.is_some_and(|time| time <= *moment)))
            })
        });
        let cosigned = |at: usize| times.get(at).is_some_and(Option::is_some);
        let sides = self.sides();
        let side_of =
            |at: usize| sides.iter().find(|side| self.contains(**side, at)).map(|side| self.name(*side).to_owned());
        let mut by = Vec::new();
        for (at, (witness, time)) in self.witnesses.iter().zip(&times).enumerate() {
            if let Some(time) = *time {
                let (witness, key) = (witness.name.clone(), witness.key.name().to_owned());
                by.push(Cosignature { side: side_of(at), witness, key, time });
            }
        }
        let missing =
            sides.iter().filter(|side| !self.holds(**side, &cosigned)).map(|side| self.name(*side).to_owned());
        Ok(Witnessed { quorum: since.is_some(), since, by, missing: missing.collect() })
    }

    /// Whether by `until`, in seconds since 1970, the quorum had cosigned `checkpoint`, and so had each of `parts`, which
    /// are names of witnesses or groups.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Cosignature`].
    pub fn witnessed_until(
        &self,
        checkpoint: &SignedCheckpoint,
        until: u64,
        parts: &[&str],
    ) -> Result<bool, PolicyError> {
        let mut in_time = Vec::with_capacity(self.witnesses.len());
        for witness in &self.witnesses {
            in_time.push(witness.key.cosigned(checkpoint.note())?.is_some_and(|time| time <= until));
        }
        let cosigned = |at: usize| in_time.get(at).copied().unwrap_or(false);
        let part = |name: &&str| self.find(name).is_some_and(|member| self.holds(member, &cosigned));
        Ok(self.is_quorum(cosigned) && parts.iter().all(part))
    }

    fn find(&self, name: &str) -> Option<Member> {
        let witness = self.witnesses.iter().position(|witness| witness.name == name).map(Member::Witness);
        witness.or_else(|| self.groups.iter().position(|group| group.name == name).map(Member::Group))
    }

    /// Checks log and quorum: everything that the policy asks of a checkpoint.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Log`], [`PolicyError::Quorum`], [`PolicyError::Cosignature`].
    pub fn verify(&self, checkpoint: &SignedCheckpoint) -> Result<Witnessed, PolicyError> {
        self.verify_log(checkpoint)?;
        let witnessed = self.judge(checkpoint)?;
        if self.quorum.is_some() && !witnessed.quorum {
            return Err(PolicyError::Quorum(witnessed.to_string()));
        }
        Ok(witnessed)
    }

    /// Whether the witnesses (by their place in [`WitnessPolicy::witnesses`]) are a quorum.
    pub fn is_quorum(&self, cosigned: impl Fn(usize) -> bool) -> bool {
        self.quorum.is_some_and(|quorum| self.holds(quorum, &cosigned))
    }

    /// The parts of the quorum: the members of its group, or the one witness.
    fn sides(&self) -> Vec<Member> {
        match self.quorum {
            Some(Member::Group(at)) => self.groups.get(at).map(|group| group.members.clone()).unwrap_or_default(),
            Some(witness) => vec![witness],
            None => Vec::new(),
        }
    }

    fn name(&self, member: Member) -> &str {
        let name = match member {
            Member::Witness(at) => self.witnesses.get(at).map(|witness| &witness.name),
            Member::Group(at) => self.groups.get(at).map(|group| &group.name),
        };
        name.map_or("", String::as_str)
    }

    // Groups name only what stands before them, and nothing twice: this ends, and each witness counts once.
    fn holds(&self, member: Member, cosigned: &impl Fn(usize) -> bool) -> bool {
        match member {
            Member::Witness(at) => cosigned(at),
            Member::Group(at) => self.groups.get(at).is_some_and(|group| {
                group.members.iter().filter(|member| self.holds(**member, cosigned)).count() >= group.threshold
            }),
        }
    }

    fn contains(&self, member: Member, witness: usize) -> bool {
        match member {
            Member::Witness(at) => at == witness,
            Member::Group(at) => self
                .groups
                .get(at)
                .is_some_and(|group| group.members.iter().any(|member| self.contains(*member, witness))),
        }
    }
}

impl fmt::Display for Witnessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who: Vec<String> = self
            .by
            .iter()
            .map(|one| match &one.side {
                Some(side) if *side != one.witness => format!("{side} {}", one.key),
                _ => one.key.clone(),
            })
            .collect();
        match (self.quorum, who.as_slice()) {
            (true, who) => write!(f, "witnessed by {}", who.join(", ")),
            (false, []) => f.write_str("unwitnessed"),
            (false, who) => {
                write!(f, "unwitnessed: cosigned by {} only", who.join(", "))?;
                if self.missing.is_empty() { Ok(()) } else { write!(f, ", not by {}", self.missing.join(", ")) }
            }
        }
    }
}
