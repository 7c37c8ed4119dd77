//! One rule: a Cedar policy and what its annotations say of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Effect, Policy};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::RuleSetError;
use crate::because::{Check, Helper, WANT_CHECKS, mentioned};
use crate::decision::Message;
use crate::evaluate::{Direction, Needed};

/// The id of a rule, as `CN-06`. Several policies may bear one id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(Arc<str>);

impl RuleId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RuleId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a rule does when its condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// Refuses the export.
    Deny,
    /// Leaves it to a person.
    Review,
    /// Is a step of the ladder.
    Basis {
        /// Position; the lowest that holds decides.
        step: u8,
        /// The mechanism that the step asks for.
        needed: Needed,
        /// Whether the persons count towards the year.
        counted: bool,
    },
    /// Takes the mechanism on file; `contested` if a person has to confirm it.
    Accept {
        /// See above.
        contested: bool,
    },
}

/// A rule, for `evaluate` and for whoever wants to read it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Id.
    pub id: RuleId,
    /// Effect.
    pub level: Level,
    /// Directions in which it is asked.
    pub directions: BTreeSet<Direction>,
    /// The law it states.
    pub citation: String,
    /// The day that law came into force; a local rule need not say. For the reader: what bounds the rule is the next two.
    pub in_force: Option<Date>,
    /// First day on which the rule applies.
    pub effective_from: Option<Date>,
    /// Last day on which the rule applies.
    pub effective_to: Option<Date>,
    /// What to tell the person; a rule that accepts a mechanism has nothing to tell.
    pub message: Option<Message>,
    /// The facts that decide it; those its condition reads, if it does not say.
    pub decided_by: Vec<Check>,
    /// Who can help where it stands in the way.
    pub helped_by: Vec<Helper>,
    /// The file it is in.
    pub file: String,
    /// The policy text.
    pub text: String,
}

impl Rule {
    /// Whether the rule applies on `today`.
    pub fn applies_on(&self, today: Date) -> bool {
        self.effective_from.is_none_or(|from| from <= today) && self.effective_to.is_none_or(|to| today <= to)
    }

    /// Reads the annotations of `policy`, the `number`-th of `file`.
    pub(super) fn read(policy: &Policy, file: &str, number: usize) -> Result<Self, RuleSetError> {
        let name = policy.annotation("id").map_or_else(|| format!("policy {number}"), str::to_owned);
        let notes = Notes { policy, file, rule: &name };
        let id = RuleId::from(notes.required("id", "a rule id such as `CN-06`")?);
        let level = notes.level()?;
        let silent = matches!(level, Level::Accept { .. });
        notes.only_known(&level)?;
        Ok(Self {
            directions: notes.directions()?,
            citation: notes.required("citation", "the law that the rule states")?.to_owned(),
            in_force: Some(notes.date("in_force")?.ok_or_else(|| notes.missing("in_force", WANT_DATE))?),
            effective_from: notes.date("effective_from")?,
            effective_to: notes.date("effective_to")?,
            message: if silent { None } else { Some(notes.message()?) },
            decided_by: if silent { Vec::new() } else { notes.decided_by()? },
            helped_by: notes.helped_by(&level)?,
            file: file.to_owned(),
            text: policy.to_string(),
            id,
            level,
        })
    }

    /// Reads the annotations of a rule that `owner` adds to the law: a `forbid` for an export, under an id that no law
    /// bears.
    pub(crate) fn read_local(policy: &Policy, file: &str, number: usize, owner: &str) -> Result<Self, RuleSetError> {
        let name = policy.annotation("id").map_or_else(|| format!("policy {number}"), str::to_owned);
        let notes = Notes { policy, file, rule: &name };
        let level = notes.local_level()?;
        let id = notes.required("id", LOCAL_WANT_ID)?;
        let own = id.strip_prefix(owner).and_then(|rest| rest.strip_prefix(':'));
        let named = |name: &str| {
            (1..=LOCAL_NAME_BYTES_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if !own.is_some_and(named) {
            return Err(notes.wrong("id", id, &format!("`{owner}:` and a name of letters, digits, `-`, `_`, `.`")));
        }
        notes.only_known_locally()?;
        let directions = match policy.annotation("direction") {
            None => [Direction::CnOut, Direction::HkOut, Direction::Domestic].into(),
            Some(_) => notes.directions()?,
        };
        if directions.contains(&Direction::Unsupported) {
            let want = "of `CN-OUT`, `HK-OUT`, `DOMESTIC`: elsewhere the law denies before anything is asked";
            return Err(notes.wrong("direction", "UNSUPPORTED", want));
        }
        let citation = match (policy.annotation("citation"), policy.annotation("reason")) {
            (Some(_), Some(reason)) => return Err(notes.wrong("reason", reason, "left out beside `@citation`")),
            (None, Some(_)) => notes.required("reason", LOCAL_WANT_CITATION)?,
            (_, None) => notes.required("citation", LOCAL_WANT_CITATION)?,
        };
        let (from, to) = (notes.date("effective_from")?, notes.date("effective_to")?);
        if let (Some(first), Some(last)) = (from, to)
            && last < first
        {
            return Err(notes.wrong("effective_to", &last.to_string(), &format!("{first} or later")));
        }
        Ok(Self {
            id: RuleId::from(id),
            level,
            directions,
            citation: citation.to_owned(),
            in_force: notes.date("in_force")?,
            effective_from: from,
            effective_to: to,
            message: Some(notes.message()?),
            decided_by: notes.decided_by()?,
            helped_by: notes.helped_by(&Level::Deny)?,
            file: file.to_owned(),
            text: policy.to_string(),
        })
    }
}

/// What the id of a local rule must be.
const LOCAL_WANT_ID: &str = "the owner's id, a colon and a name, such as `hku:no-voices`";
const LOCAL_WANT_CITATION: &str = "what the rule rests on: a contract, a decision of the board, a house rule";
/// Longest name of a local rule, without its owner.
const LOCAL_NAME_BYTES_MAX: usize = 64;

const WANT_DATE: &str = "a date such as `2024-03-22`";

/// The annotations of one policy, with enough to say where one is wrong.
struct Notes<'a> {
    policy: &'a Policy,
    file: &'a str,
    rule: &'a str,
}

impl<'a> Notes<'a> {
    fn level(&self) -> Result<Level, RuleSetError> {
        let ActionConstraint::Eq(action) = self.policy.action_constraint() else {
            return Err(self.wrong("action", "any", "one action, as `action == Action::\"export\"`"));
        };
        let action = action.id().unescaped().to_owned();
        match (action.as_str(), self.policy.effect()) {
            ("basis", Effect::Permit) => Ok(Level::Basis {
                step: self.parse("step", "a number from 0 to 255", |text| text.parse().ok())?,
                needed: self.parse("needed", "`none`, `exempt`, `sc_or_cert` or `sa`", Needed::parse)?,
                counted: match self.policy.annotation("counted") {
                    None => true,
                    Some("no") => false,
                    Some(other) => return Err(self.wrong("counted", other, "`no`, or left out")),
                },
            }),
            ("accept", Effect::Permit) => Ok(Level::Accept {
                contested: self.parse("acceptance", "`accepted` or `contested`", |text| match text {
                    "accepted" => Some(false),
                    "contested" => Some(true),
                    _ => None,
                })?,
            }),
            ("export", Effect::Forbid) => self.parse("level", "`deny` or `review`", |text| match text {
                "deny" => Some(Level::Deny),
                "review" => Some(Level::Review),
                _ => None,
            }),
            // A permit for an export could only ever widen: there is nothing it could mean.
            (action, effect) => Err(self.wrong(
                "action",
                &format!("{effect} {action}"),
                "`forbid` for `export`, `permit` for `basis` and `accept`",
            )),
        }
    }

    /// The level of a local rule, which may only forbid.
    fn local_level(&self) -> Result<Level, RuleSetError> {
        const WANT: &str = "`forbid` and `action == Action::\"export\"`: a rule of your own can only narrow the law";
        let action = match self.policy.action_constraint() {
            ActionConstraint::Eq(action) => action.id().unescaped().to_owned(),
            _ => "any action".to_owned(),
        };
        if action != "export" || self.policy.effect() != Effect::Forbid {
            return Err(self.wrong("action", &format!("{} {action}", self.policy.effect()), WANT));
        }
        self.level()
    }

    fn only_known_locally(&self) -> Result<(), RuleSetError> {
        const KNOWN: [&str; 13] = [
            "id",
            "level",
            "direction",
            "citation",
            "reason",
            "in_force",
            "effective_from",
            "effective_to",
            "decided_by",
            "helped_by",
            "message_en",
            "message_zh_hans",
            "message_zh_hant",
        ];
        match self.policy.annotations().find(|(key, _)| !KNOWN.contains(key)) {
            Some((key, value)) => Err(self.wrong(key, value, &format!("left out: known are {}", KNOWN.join(", ")))),
            None => Ok(()),
        }
    }

    fn only_known(&self, level: &Level) -> Result<(), RuleSetError> {
        let told: &[&str] = &["decided_by", "message_en", "message_zh_hans", "message_zh_hant"];
        let (own, told): (&[&str], &[&str]) = match level {
            Level::Deny | Level::Review => (&["level", "helped_by"], told),
            Level::Basis { .. } => (&["step", "needed", "counted"], told),
            Level::Accept { .. } => (&["acceptance"], &[]),
        };
        let all = ["id", "direction", "citation", "in_force", "effective_from", "effective_to"];
        for (key, value) in self.policy.annotations() {
            if !all.contains(&key) && !own.contains(&key) && !told.contains(&key) {
                return Err(self.wrong(key, value, "left out: a rule of this kind has no such annotation"));
            }
        }
        Ok(())
    }

    fn directions(&self) -> Result<BTreeSet<Direction>, RuleSetError> {
        const WANT: &str = "`CN-OUT`, `HK-OUT`, `DOMESTIC`, `UNSUPPORTED`, separated by commas";
        self.parse("direction", WANT, |text| text.split(',').map(|word| Direction::parse(word.trim())).collect())
    }

    /// A rule of somebody's own need not say what decides it: then every fact that it reads is shown.
    fn decided_by(&self) -> Result<Vec<Check>, RuleSetError> {
        match self.policy.annotation("decided_by") {
            Some(_) => self.parse("decided_by", WANT_CHECKS, Check::list),
            None => Ok(mentioned(self.policy)),
        }
    }

    fn helped_by(&self, level: &Level) -> Result<Vec<Helper>, RuleSetError> {
        const WANT: &str = "`consumer`, `provider`, `recipient-officer`, `authority`, `operator`, `rule-owner` or \
             `nobody`, separated by commas";
        match (self.policy.annotation("helped_by"), level) {
            (Some(_), _) => {
                self.parse("helped_by", WANT, |text| text.split(',').map(|word| Helper::parse(word.trim())).collect())
            }
            (None, Level::Deny | Level::Review) => Ok(vec![Helper::RuleOwner]),
            (None, Level::Basis { .. } | Level::Accept { .. }) => Ok(Vec::new()),
        }
    }

    fn message(&self) -> Result<Message, RuleSetError> {
        let text = |key| self.required(key, "a sentence for the person asking").map(str::to_owned);
        Ok(Message { en: text("message_en")?, zh_hans: text("message_zh_hans")?, zh_hant: text("message_zh_hant")? })
    }

    fn date(&self, key: &str) -> Result<Option<Date>, RuleSetError> {
        match self.policy.annotation(key) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| self.wrong(key, text, WANT_DATE)),
        }
    }

    fn parse<T>(&self, key: &str, want: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, RuleSetError> {
        let text = self.required(key, want)?;
        parse(text).ok_or_else(|| self.wrong(key, text, want))
    }

    fn required(&self, key: &str, want: &str) -> Result<&'a str, RuleSetError> {
        match self.policy.annotation(key) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.missing(key, want)),
        }
    }

    fn missing(&self, key: &str, want: &str) -> RuleSetError {
        self.wrong(key, "", want)
    }

    fn wrong(&self, key: &str, found: &str, want: &str) -> RuleSetError {
        RuleSetError::Annotation {
            file: self.file.to_owned(),
            // Whoever has the text of the file counts its lines.
            line: 0,
            rule: self.rule.to_owned(),
            annotation: key.to_owned(),
            found: found.to_owned(),
            want: want.to_owned(),
        }
    }
}
