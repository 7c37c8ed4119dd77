//! Reading a policy file, line by line: a name stands for what was defined before it.

use std::collections::{HashMap, HashSet};

use super::{Group, Member, POLICY_BYTES_MAX, POLICY_NAMES_MAX, PolicyError, PolicyLog, PolicyWitness, WitnessPolicy};
use crate::tree::shorten;

pub(super) fn policy(bytes: &[u8]) -> Result<WitnessPolicy, PolicyError> {
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(PolicyError::Whole("is too large"));
    }
    let mut reading = Reading::default();
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
        reading.line(line).map_err(|why| PolicyError::Line { line: number, why })?;
    }
    let quorum = match reading.quorum {
        Quorum::Unsaid => {
            return Err(PolicyError::Whole("has no `quorum` line: write `quorum NAME`, or `quorum none`"));
        }
        Quorum::Nobody => None,
        Quorum::Of(member) => Some(member),
    };
    let Reading { logs, witnesses, groups, .. } = reading;
    Ok(WitnessPolicy { logs, witnesses, groups, quorum })
}

#[derive(Default)]
struct Reading {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    names: HashMap<String, Member>,
    /// Names that are members of a group: each may be one once.
    used: HashSet<String>,
    quorum: Quorum,
}

/// What the quorum line says.
#[derive(Default)]
enum Quorum {
    /// There was none yet.
    #[default]
    Unsaid,
    /// `quorum none`.
    Nobody,
    Of(Member),
}

impl Reading {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err("control characters are not allowed".to_owned());
        }
        let line = line.trim_ascii();
        // A comment may be in any encoding.
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|_| "write it in UTF-8".to_owned())?;
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            ["log", key] => self.log(key, None),
            ["log", key, url] => self.log(key, Some(url)),
            ["witness", name, key] => self.witness(name, key, None),
            ["witness", name, key, url] => self.witness(name, key, Some(url)),
            ["group", name, threshold, members @ ..] => self.group(name, threshold, members),
            ["quorum", name] => self.quorum(name),
            _ => {
                Err("write `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME any|all|N NAME…` or `quorum NAME`"
                    .to_owned())
            }
        }
    }

    fn log(&mut self, key: &str, url: Option<&&str>) -> Result<(), String> {
        let key: crate::VerifierKey = key.parse().map_err(|error: crate::NoteError| error.to_string())?;
        if self.logs.iter().any(|log| log.key.public() == key.public()) {
            return Err(format!("the key of `{}` is listed already", key.name()));
        }
        room(self.logs.len())?;
        self.logs.push(PolicyLog { key, url: url.map(|url| (*url).to_owned()) });
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&&str>) -> Result<(), String> {
        let key: super::CosignerKey = key.parse().map_err(|error: crate::NoteError| error.to_string())?;
        if self.witnesses.iter().any(|witness| witness.key.public() == key.public()) {
            return Err(format!("the key of `{}` is listed already", key.name()));
        }
        room(self.witnesses.len())?;
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(PolicyWitness { name: name.to_owned(), key, url: url.map(|url| (*url).to_owned()) });
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, names: &[&str]) -> Result<(), String> {
        let count = names.len();
        if count == 0 {
            return Err(format!("the group `{}` has no members", shorten(name)));
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => count,
            number => decimal(number).filter(|number| (1..=count).contains(number)).ok_or_else(|| {
                format!("of a group's members, say how many: `any`, `all` or 1 to {count}, not `{}`", shorten(number))
            })?,
        };
        let mut members = Vec::with_capacity(count);
        for member in names {
            members.push(self.named(member)?);
            if !self.used.insert((*member).to_owned()) {
                return Err(format!("`{}` is a member already: a witness counts once", shorten(member)));
            }
        }
        room(self.groups.len())?;
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { name: name.to_owned(), threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), String> {
        if !matches!(self.quorum, Quorum::Unsaid) {
            return Err("there is a quorum already".to_owned());
        }
        self.quorum = if name == "none" { Quorum::Nobody } else { Quorum::Of(self.named(name)?) };
        Ok(())
    }

    fn define(&mut self, name: &str, member: Member) -> Result<(), String> {
        if name == "none" {
            return Err("`none` cannot be a name".to_owned());
        }
        match self.names.insert(name.to_owned(), member) {
            None => Ok(()),
            Some(_) => Err(format!("`{}` is defined already", shorten(name))),
        }
    }

    fn named(&self, name: &str) -> Result<Member, String> {
        let unknown = || format!("`{}` is not a witness or group of an earlier line", shorten(name));
        self.names.get(name).copied().ok_or_else(unknown)
    }
}

fn room(lines: usize) -> Result<(), String> {
    if lines < POLICY_NAMES_MAX { Ok(()) } else { Err(format!("at most {POLICY_NAMES_MAX} lines of this kind")) }
}

/// A count as the specification writes it: decimal digits, no sign, no leading zero.
fn decimal(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
