//! Offers: on what terms a dataset may be had, and what it costs.

use serde::{Deserialize, Serialize};

use crate::{Digest, Place, Purpose};

/// How a price is counted (INTERFACE.md, "Prices").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceModel {
    /// Once per lease that sent a data byte.
    PerPull,
    /// Per 2^30 bytes of uncompressed units.
    PerGib,
    /// Per 1,000,000 rows.
    PerMillionRows,
    /// Once per period, at its first byte.
    Subscription,
    /// Nothing.
    Free,
}

/// A subscription's period, in Asia/Shanghai.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// A currency with two minor digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Currency {
    /// Renminbi; minor unit fen.
    #[serde(rename = "CNY")]
    Cny,
    /// Hong Kong dollar; minor unit cent.
    #[serde(rename = "HKD")]
    Hkd,
}

impl Currency {
    /// ISO 4217 code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cny => "CNY",
            Self::Hkd => "HKD",
        }
    }
}

/// Minor units of a currency, written as a decimal string in JSON and TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Minor(pub i64);

impl TryFrom<String> for Minor {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.len() <= 18 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let wrong =
            || format!("`{text}` is not an amount: write minor units (fen, cents) as up to 18 digits in quotes");
        if !digits {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl From<Minor> for String {
    fn from(amount: Minor) -> Self {
        amount.0.to_string()
    }
}

/// What a dataset costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// How it is counted.
    pub model: PriceModel,
    /// Per counted thing; zero when free.
    #[serde(default)]
    pub amount: Minor,
    /// The currency of `amount`.
    #[serde(default = "cny")]
    pub currency: Currency,
    /// Only with `subscription`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
}

const fn cny() -> Currency {
    Currency::Cny
}

/// The broker's own part of the price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Fee {
    /// Parts per million of the price.
    Rate {
        /// 0 to 1,000,000.
        rate_ppm: u32,
    },
    /// A fixed amount per statement line, at most the line.
    Fixed {
        /// Minor units of the price's currency.
        amount: Minor,
    },
}

/// Value-added tax that a price holds, as the parties agreed it: the gateway computes with it and does not advise on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vat {
    /// Parts per million of the price without tax: 60000 is six per cent. 0 to 1,000,000.
    pub rate_ppm: u32,
}

/// What has to show that bytes were delivered before they are billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// The consumer's kernel has acknowledged them.
    #[default]
    Sent,
    /// The consumer has signed for them.
    Receipt,
}

impl EvidenceKind {
    /// Whether it is what an offer that says nothing asks for.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_sent(&self) -> bool {
        *self == Self::Sent
    }
}

/// The terms on which a provider lets a dataset be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// What for.
    pub purposes: Vec<Purpose>,
    /// Trust domains that may accept it; `*` is everybody.
    pub recipients: Vec<String>,
    /// Registered places of those that may accept it.
    pub places: Vec<Place>,
    /// What it costs.
    pub price: Price,
    /// The broker's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// Tax within the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat: Option<Vat>,
    /// What shows a delivery.
    #[serde(default, skip_serializing_if = "EvidenceKind::is_sent")]
    pub evidence: EvidenceKind,
    /// Whether it may be passed on: `none`, or what the licence says.
    #[serde(default = "none")]
    pub onward: String,
    /// Days that a consumer may keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

fn none() -> String {
    "none".to_owned()
}

impl Offer {
    /// The digest of the offer's canonical JSON (RFC 8785): two versions with one digest have one offer.
    pub fn digest(&self) -> Digest {
        // An offer is strings and integers below 2^53: canonical JSON of it cannot fail.
        Digest::of(&serde_json_canonicalizer::to_vec(self).unwrap_or_default())
    }
}
