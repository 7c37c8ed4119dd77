//! A programme's file: dates, source, parameters.

use catalog::Digest;
use catalog::offer::Minor;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The programmes of this version, by id.
const FILES: [(&str, &str); 5] = [
    ("qianhai-broker-reward-2024", include_str!("../../programmes/qianhai-broker-reward-2024.toml")),
    ("shenzhen-compute-voucher-2024", include_str!("../../programmes/shenzhen-compute-voucher-2024.toml")),
    ("shenzhen-corpus-voucher-2024", include_str!("../../programmes/shenzhen-corpus-voucher-2024.toml")),
    ("shenzhen-model-voucher-2024", include_str!("../../programmes/shenzhen-model-voucher-2024.toml")),
    ("shenzhen-open-corpus-2024", include_str!("../../programmes/shenzhen-open-corpus-2024.toml")),
];

/// An incentive programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Programme {
    /// The file it was read from: what the digest is of.
    #[serde(skip)]
    pub text: String,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// What the file says.
    #[serde(flatten)]
    pub terms: Terms,
}

/// What a programme's file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Its id.
    pub id: String,
    /// Goes up when the file changes.
    pub version: u32,
    /// Its name.
    pub title: Title,
    /// Where it comes from.
    pub source: Source,
    /// When it applies.
    pub effective: Effective,
    /// What is added up.
    pub base: Base,
    /// What a transaction must meet to be counted.
    pub conditions: Conditions,
    /// What is awarded.
    pub award: Award,
}

/// A name in three scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Title {
    /// English.
    pub en: String,
    /// Traditional Chinese.
    #[serde(rename = "zh-Hant")]
    pub hant: String,
    /// Simplified Chinese.
    #[serde(rename = "zh-Hans")]
    pub hans: String,
}

/// The passage behind a programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Issuer, title, number or date.
    pub document: String,
    /// Which measure in it.
    pub citation: String,
    /// The passage.
    pub passage: String,
    /// Whether it is quoted word for word, or summed up.
    pub verbatim: bool,
    /// SHA-256 of the passage.
    pub digest: Digest,
    /// What it leaves open.
    pub unsaid: Vec<String>,
}

/// Days in Asia/Shanghai, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effective {
    /// The first.
    pub from: Date,
    /// The last, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

impl Effective {
    /// Whether it applies on `day`.
    pub fn holds(&self, day: Date) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }

    /// Whether it applies on any day of `year`.
    pub fn touches(&self, year: i16) -> bool {
        self.from.year() <= year && self.to.is_none_or(|to| year <= to.year())
    }
}

/// Which party of a transaction a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who sold.
    Broker,
    /// Who bought.
    Consumer,
}

/// Which year's transactions count for the year that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseYear {
    /// The calendar year before.
    Before,
    /// That year.
    Same,
}

/// What is added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// For whom.
    pub participant: Side,
    /// Of which year.
    pub year: BaseYear,
    /// Only these kinds of transaction; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Not these: their kind says that they are of another programme.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_kinds: Vec<String>,
}

/// What a transaction must meet to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// Broker and consumer are not affiliated.
    pub non_affiliated: bool,
    /// The consumer sold nothing to the broker within so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_days: Option<u16>,
    /// The consumer is an enterprise.
    pub enterprise: bool,
    /// It went through a data trading platform and says which.
    pub platform: bool,
    /// The amount is the contract's: a second transaction on the contract is not counted again.
    pub contract_once: bool,
}

/// What is awarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Award {
    /// The base that is needed, fen, included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Minor>,
    /// Of the base.
    pub rate_percent: u8,
    /// Of the part of the base that start-ups bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_rate_percent: Option<u8>,
    /// The most for one participant and year, fen.
    pub cap: Minor,
    /// The most participants a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_max: Option<usize>,
    /// The most for all participants and a year, fen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Minor>,
}

/// A programme file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgrammeError {
    /// It is not TOML of this form.
    #[error("the programme does not parse: {0}")]
    Form(String),
    /// It contradicts itself.
    #[error("programme `{id}`: {why}")]
    Wrong {
        /// Which.
        id: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// There is none of that id.
    #[error("there is no programme `{0}`; those of this version: {known}", known = ids().collect::<Vec<_>>().join(", "))]
    Unknown(String),
}

/// The ids of this version's programmes.
fn ids() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(id, _)| *id)
}

impl Programme {
    /// Reads a programme's file.
    pub fn parse(text: &str) -> Result<Self, ProgrammeError> {
        let terms: Terms = toml::from_str(text).map_err(|error| ProgrammeError::Form(error.to_string()))?;
        let wrong = |why: String| Err(ProgrammeError::Wrong { id: terms.id.clone(), why });
        let found = Digest::of(terms.source.passage.as_bytes());
        if found != terms.source.digest {
            return wrong(format!("the passage has the digest {found}, not {}", terms.source.digest));
        }
        if terms.effective.to.is_some_and(|to| to < terms.effective.from) {
            return wrong("`effective.to` is before `effective.from`".to_owned());
        }
        let Award { rate_percent, startup_rate_percent, .. } = terms.award;
        if rate_percent > 100 || startup_rate_percent.is_some_and(|rate| rate > 100) {
            return wrong("a rate is at most 100 %".to_owned());
        }
        Ok(Self { text: text.to_owned(), digest: Digest::of(text.as_bytes()), terms })
    }

    /// The programmes of this version, by id.
    pub fn builtin() -> Result<Vec<Self>, ProgrammeError> {
        FILES.iter().map(|(_, text)| Self::parse(text)).collect()
    }

    /// One of this version's programmes.
    pub fn find(id: &str) -> Result<Self, ProgrammeError> {
        let (_, text) = FILES
            .iter()
            .find(|(known, _)| *known == id)
            .ok_or_else(|| ProgrammeError::Unknown(id.chars().take(64).collect()))?;
        Self::parse(text)
    }

    /// The year whose transactions count for `year`.
    pub const fn base_year(&self, year: i16) -> i16 {
        match self.terms.base.year {
            BaseYear::Before => year.saturating_sub(1),
            BaseYear::Same => year,
        }
    }
}
