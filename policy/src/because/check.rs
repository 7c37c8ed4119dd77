//! What a rule says of the facts that decide it: `@decided_by`, a list of checks.
//!
//! A check is a fact and a test. A rule that refuses holds while one of its checks fails: the
//! failing ones decided, and the tests say what would have passed. A step of the ladder holds
//! because of the checks that hold.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::fact::{Fact, FactValue};
use crate::evaluate::Derived;
use crate::facts::{Facts, MechanismKind};
use crate::rules::RuleSet;
use crate::word::words;

/// One fact and its test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The fact.
    pub fact: Fact,
    /// What is asked of it.
    pub(super) test: Test,
}

/// What is asked of a fact, before the facts are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Is(Vec<String>),
    IsNot(Vec<String>),
    Within(Vec<String>),
    Below(u64),
    AtLeast(u64),
    AtMost(u64),
    AtMostFact(Fact),
    Given,
    None,
    From,
    Until,
    InTime,
    Covers(Fact),
    Serves,
    Otherwise,
}

words! {
    /// How a fact passes.
    pub enum Passing {
        /// It is one of these.
        Is = "is",
        /// It is none of these.
        IsNot = "is_not",
        /// It lies in one of these places.
        Within = "within",
        /// It is smaller.
        Below = "below",
        /// It is as large or larger.
        AtLeast = "at_least",
        /// It is as large or smaller.
        AtMost = "at_most",
        /// It is there.
        Given = "given",
        /// There is none.
        None = "none",
        /// It is that day or a later one.
        OnOrAfter = "on_or_after",
        /// It is that day or an earlier one.
        OnOrBefore = "on_or_before",
        /// It names this, or `*`.
        Covers = "covers",
        /// The rule's condition does not hold.
        Otherwise = "otherwise",
    }
}

/// What would have passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passes {
    /// How.
    pub test: Passing,
    /// With what; missing where the test needs nothing.
    pub value: FactValue,
}

/// What a check may look like, for error messages.
pub(crate) const WANT: &str = "checks separated by `;`, each a fact such as `exporter.counters.sensitive + Q` and \
     `is A|B`, `is not A|B`, `within PLACE|PLACE`, `below N`, `at least N`, `at most N`, `at most FACT`, `given`, `none`, \
     `begun`, `not over`, `in time`, `covers FACT` or `serves`";

impl Check {
    /// Reads the checks of an annotation; `None` if one is not a check.
    pub(crate) fn list(text: &str) -> Option<Vec<Self>> {
        text.split(';').map(|part| Self::parse(part.trim())).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        // Names hold spaces and one may begin another, so the longest that fits is meant.
        let names = Fact::ALL.iter().filter_map(|fact| Some((*fact, text.strip_prefix(fact.as_str())?)));
        let (fact, rest) = names.filter(|(_, rest)| rest.starts_with(' ')).min_by_key(|(_, rest)| rest.len())?;
        Some(Self { fact, test: Test::parse(rest.trim())? })
    }

    /// A check of a rule that does not say what decides it.
    pub(super) const fn otherwise(fact: Fact) -> Self {
        Self { fact, test: Test::Otherwise }
    }

    /// Whether the value passes.
    pub(super) fn holds(&self, asked: &Asked<'_>, value: &FactValue) -> bool {
        let passes = self.passes(asked);
        match (passes.test, value, &passes.value) {
            (Passing::Is, value, wanted) => is_one_of(value, wanted),
            (Passing::IsNot, value, wanted) => !is_one_of(value, wanted),
            (Passing::Within, FactValue::Text(place), FactValue::List(places)) => {
                places.iter().any(|wanted| place.starts_with(wanted.as_str()))
            }
            (Passing::Below, FactValue::Count(count), FactValue::Count(bound)) => count < bound,
            (Passing::AtLeast, FactValue::Count(count), FactValue::Count(bound)) => count >= bound,
            (Passing::AtMost, FactValue::Count(count), FactValue::Count(bound)) => count <= bound,
            // Without a bound nothing is above it.
            (Passing::AtMost, FactValue::Count(_), FactValue::Missing(())) => true,
            (Passing::Given, value, _) => value.is_given(),
            (Passing::None, value, _) => !value.is_given(),
            (Passing::OnOrAfter, FactValue::Day(day), FactValue::Day(bound)) => day >= bound,
            (Passing::OnOrBefore, FactValue::Day(day), FactValue::Day(bound)) => day <= bound,
            // A contract without a last day does not end; an assessment or a certificate must have one.
            (Passing::OnOrAfter, FactValue::Missing(()), _) => self.test == Test::Until && !asked.is_issued(),
            (Passing::Covers, FactValue::List(items), FactValue::Text(wanted)) => {
                items.iter().any(|item| item == "*" || item == wanted)
            }
            _ => false,
        }
    }

    /// The test with its bounds worked out.
    pub(super) fn passes(&self, asked: &Asked<'_>) -> Passes {
        let (test, value) = match &self.test {
            Test::Is(words) => (Passing::Is, literal(words)),
            Test::IsNot(words) => (Passing::IsNot, literal(words)),
            Test::Within(places) => (Passing::Within, FactValue::List(places.clone())),
            Test::Below(bound) => (Passing::Below, FactValue::Count(*bound)),
            Test::AtLeast(bound) => (Passing::AtLeast, FactValue::Count(*bound)),
            Test::AtMost(bound) => (Passing::AtMost, FactValue::Count(*bound)),
            Test::AtMostFact(fact) => (Passing::AtMost, asked.value(*fact)),
            Test::Given => (Passing::Given, FactValue::Missing(())),
            Test::None => (Passing::None, FactValue::Missing(())),
            Test::From => (Passing::OnOrBefore, FactValue::Day(asked.derived.today)),
            Test::Until => (Passing::OnOrAfter, FactValue::Day(asked.derived.today)),
            Test::InTime => (Passing::OnOrBefore, asked.deadline().map_or(FactValue::Missing(()), FactValue::Day)),
            Test::Covers(fact) => (Passing::Covers, asked.value(*fact)),
            Test::Serves => {
                let kinds = asked.serving.iter().map(|kind| kind.as_str().to_owned()).collect();
                (Passing::Is, FactValue::List(kinds))
            }
            Test::Otherwise => (Passing::Otherwise, FactValue::Missing(())),
        };
        Passes { test, value }
    }
}

impl Test {
    fn parse(text: &str) -> Option<Self> {
        let list = |words: &str| words.split('|').map(|word| word.trim().to_owned()).collect::<Vec<_>>();
        let number = |text: &str| text.trim().parse::<u64>().ok();
        Some(match text {
            "given" => Self::Given,
            "none" => Self::None,
            "begun" => Self::From,
            "not over" => Self::Until,
            "in time" => Self::InTime,
            "serves" => Self::Serves,
            _ => {
                let (word, rest) = text.split_once(' ')?;
                match (word, rest.strip_prefix("not ")) {
                    ("is", Some(words)) => Self::IsNot(list(words)),
                    ("is", None) => Self::Is(list(rest)),
                    ("within", _) => Self::Within(list(rest)),
                    ("below", _) => Self::Below(number(rest)?),
                    ("covers", _) => Self::Covers(Fact::parse(rest)?),
                    ("at", _) => match rest.split_once(' ')? {
                        ("least", bound) => Self::AtLeast(number(bound)?),
                        ("most", bound) => match number(bound) {
                            Some(bound) => Self::AtMost(bound),
                            None => Self::AtMostFact(Fact::parse(bound)?),
                        },
                        _ => return None,
                    },
                    _ => return None,
                }
            }
        })
    }
}

/// A flag is written as a word in an annotation.
fn literal(words: &[String]) -> FactValue {
    match words {
        [word] if word == "true" || word == "false" => FactValue::Flag(word == "true"),
        [word] => FactValue::Text(word.clone()),
        words => FactValue::List(words.to_vec()),
    }
}

fn is_one_of(value: &FactValue, wanted: &FactValue) -> bool {
    match (value, wanted) {
        (FactValue::Text(text), FactValue::List(words)) => words.contains(text),
        (value, wanted) => value == wanted,
    }
}

/// The facts of one export, as checks ask them.
pub(super) struct Asked<'a> {
    pub rules: &'a RuleSet,
    pub facts: &'a Facts,
    pub derived: &'a Derived,
    /// The kinds of mechanism that would serve.
    pub serving: &'a [MechanismKind],
}

impl Asked<'_> {
    pub fn value(&self, fact: Fact) -> FactValue {
        fact.value(self.rules, self.facts, self.derived)
    }

    fn is_issued(&self) -> bool {
        let mechanism = self.facts.gathered().mechanism.as_ref();
        mechanism.is_some_and(|it| matches!(it.kind, MechanismKind::Cert | MechanismKind::Sa))
    }

    fn deadline(&self) -> Option<Date> {
        let mechanism = self.facts.gathered().mechanism.as_ref()?;
        self.rules.calendars().filing_deadline(mechanism.effective)
    }
}
