//! The transactions that a programme is evaluated over (INTERFACE.md, "Incentive input"), parsed once and strictly: what
//! is not understood might be what excludes a transaction.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Longest id or name, in characters.
const NAME_MAX: usize = 200;

/// A sale, or the reversal of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its id, unique.
    pub id: String,
    /// Who sold.
    pub broker: String,
    /// Who bought.
    pub consumer: String,
    /// When.
    pub at: Timestamp,
    /// Minor units, not negative: a reversal takes them away.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// What was sold, a token.
    pub kind: String,
    /// Whether broker and consumer are affiliated.
    pub affiliated: bool,
    /// What it reverses: the place of the original.
    pub reversal_of: Option<usize>,
    /// Under which contract.
    pub contract: String,
    /// Through which trading platform.
    pub platform: Option<String>,
    /// Whether the consumer is an enterprise.
    pub enterprise: bool,
    /// Whether the consumer is a start-up.
    pub startup: bool,
    /// What a unit of `currency` was worth when it was posted.
    pub rate: Option<Rate>,
}

/// A recorded rate: fen for a minor unit of another currency, as a fraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Numerator.
    pub num: u64,
    /// Denominator, not 0.
    pub den: u64,
    /// Who says so.
    pub source: String,
    /// Of when.
    pub as_of: String,
}

/// Transactions that fit together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    transactions: Vec<Transaction>,
}

/// Input that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// It is not JSON of this form.
    #[error("the input: {0}")]
    Form(String),
    /// A member of a transaction is wrong.
    #[error("`transactions[{place}].{member}`{id}: {why}", id = .id.as_ref().map(|id| format!(" (id `{id}`)")).unwrap_or_default())]
    Member {
        /// Which transaction, from 0.
        place: usize,
        /// Its id, where it has one.
        id: Option<String>,
        /// Which member.
        member: &'static str,
        /// What is wrong and what would be right.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    transactions: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: Option<Value>,
    broker: Option<Value>,
    consumer: Option<Value>,
    at: Option<Value>,
    amount: Option<Value>,
    currency: Option<Value>,
    kind: Option<Value>,
    affiliated: Option<Value>,
    reversal_of: Option<Value>,
    contract: Option<Value>,
    platform: Option<Value>,
    enterprise: Option<Value>,
    startup: Option<Value>,
    rate: Option<RawRate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    num: u64,
    den: u64,
    source: String,
    as_of: String,
}

/// A transaction being read: errors say where.
struct Place<'a> {
    place: usize,
    id: Option<&'a str>,
}

impl Place<'_> {
    fn wrong(&self, member: &'static str, why: impl Into<String>) -> InputError {
        InputError::Member { place: self.place, id: self.id.map(short), member, why: why.into() }
    }

    fn text(&self, member: &'static str, value: Option<&Value>) -> Result<String, InputError> {
        let text = match value {
            None => return Err(self.wrong(member, "is missing")),
            Some(Value::String(text)) => text,
            Some(other) => {
                return Err(self.wrong(member, format!("is `{}`: write a string", short(&other.to_string()))));
            }
        };
        if text.trim().is_empty() || text.chars().count() > NAME_MAX || text.chars().any(char::is_control) {
            return Err(self.wrong(member, format!("is 1 to {NAME_MAX} characters, none of them a control character")));
        }
        Ok(text.clone())
    }

    fn flag(&self, member: &'static str, value: Option<&Value>) -> Result<bool, InputError> {
        match value {
            Some(Value::Bool(flag)) => Ok(*flag),
            None => Err(self.wrong(member, "is missing: write true or false")),
            Some(other) => Err(self.wrong(member, format!("is `{}`: write true or false", short(&other.to_string())))),
        }
    }

    /// The amount without its sign, which only a reversal may have.
    fn amount(&self, value: Option<&Value>, reversal: bool) -> Result<i64, InputError> {
        let text = self.text("amount", value)?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let canonical = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
        let amount = digits.parse::<i64>().ok().filter(|_| canonical && digits.len() <= 18);
        let why = || format!("is `{}`: write minor units (fen) as up to 18 digits in quotes", short(&text));
        let amount = amount.ok_or_else(|| self.wrong("amount", why()))?;
        if text.starts_with('-') && !reversal {
            return Err(self.wrong("amount", format!("is `{text}`: only a reversal takes away; name what it reverses")));
        }
        Ok(amount)
    }

    fn currency(&self, value: Option<&Value>) -> Result<String, InputError> {
        let text = self.text("currency", value)?;
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(text);
        }
        Err(self.wrong("currency", format!("is `{}`: write three capital letters, such as CNY", short(&text))))
    }

    fn kind(&self, value: Option<&Value>) -> Result<String, InputError> {
        let text = self.text("kind", value)?;
        if text.len() <= 64 && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')) {
            return Ok(text);
        }
        Err(self.wrong("kind", format!("is `{}`: write a token such as data_transaction_service", short(&text))))
    }

    fn at(&self, value: Option<&Value>) -> Result<Timestamp, InputError> {
        let text = self.text("at", value)?;
        text.parse().map_err(|_| {
            self.wrong("at", format!("is `{}`: write a time with offset, 2025-06-30T12:00:00+08:00", short(&text)))
        })
    }

    fn rate(&self, rate: Option<RawRate>, currency: &str) -> Result<Option<Rate>, InputError> {
        let Some(RawRate { num, den, source, as_of }) = rate else { return Ok(None) };
        if currency == "CNY" {
            return Err(self.wrong("rate", "stands beside an amount in CNY, which needs none"));
        }
        if num == 0 || den == 0 {
            return Err(self.wrong("rate", "is a fraction of two numbers above 0"));
        }
        Ok(Some(Rate { num, den, source, as_of }))
    }
}

impl Raw {
    fn transaction(&self, place: &Place<'_>, id: String, rate: Option<RawRate>) -> Result<Transaction, InputError> {
        let currency = place.currency(self.currency.as_ref())?;
        let platform = self.platform.as_ref().map(|value| place.text("platform", Some(value))).transpose()?;
        let startup = self.startup.as_ref().map(|value| place.flag("startup", Some(value))).transpose()?;
        Ok(Transaction {
            id,
            broker: place.text("broker", self.broker.as_ref())?,
            consumer: place.text("consumer", self.consumer.as_ref())?,
            at: place.at(self.at.as_ref())?,
            amount: place.amount(self.amount.as_ref(), self.reversal_of.is_some())?,
            kind: place.kind(self.kind.as_ref())?,
            affiliated: place.flag("affiliated", self.affiliated.as_ref())?,
            reversal_of: None,
            contract: place.text("contract", self.contract.as_ref())?,
            platform,
            enterprise: place.flag("enterprise", self.enterprise.as_ref())?,
            startup: startup.unwrap_or(false),
            rate: place.rate(rate, &currency)?,
            currency,
        })
    }
}

impl Input {
    /// Reads the JSON of INTERFACE.md.
    ///
    /// # Errors
    ///
    /// [`InputError`], naming line or transaction and member: unknown, doubled or missing members, wrong forms, ids that
    /// are not unique, and reversals that do not fit their original or take away more than it brought.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let raw: RawInput = serde_json::from_str(text).map_err(|error| InputError::Form(error.to_string()))?;
        let mut places: HashMap<String, usize> = HashMap::with_capacity(raw.transactions.len());
        let mut transactions = Vec::with_capacity(raw.transactions.len());
        let mut reversals = Vec::new();
        for (place, mut raw) in raw.transactions.into_iter().enumerate() {
            let id = Place { place, id: None }.text("id", raw.id.as_ref())?;
            let rate = raw.rate.take();
            let at = Place { place, id: Some(&id) };
            if let Some(first) = places.insert(id.clone(), place) {
                return Err(at.wrong("id", format!("is the id of `transactions[{first}]` already")));
            }
            if let Some(original) = &raw.reversal_of {
                reversals.push((place, at.text("reversal_of", Some(original))?));
            }
            transactions.push(raw.transaction(&at, id.clone(), rate)?);
        }
        let mut input = Self { transactions };
        for (place, original) in reversals {
            let found = places.get(&original).copied();
            input.reverse(place, &original, found)?;
        }
        input.nothing_is_reversed_twice()?;
        Ok(input)
    }

    /// The transactions, in the order of the input.
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// Ties the transaction at `place` to the one it reverses.
    fn reverse(&mut self, place: usize, id: &str, original: Option<usize>) -> Result<(), InputError> {
        let Some(reversal) = self.transactions.get(place) else { return Ok(()) };
        let at = Place { place, id: Some(&reversal.id) };
        let Some((original, sale)) = original.and_then(|original| Some((original, self.transactions.get(original)?)))
        else {
            return Err(at.wrong("reversal_of", format!("names `{}`, which is not among the transactions", short(id))));
        };
        if original == place {
            return Err(at.wrong("reversal_of", "names the transaction itself"));
        }
        if (&reversal.broker, &reversal.consumer, &reversal.currency) != (&sale.broker, &sale.consumer, &sale.currency)
        {
            return Err(at.wrong("reversal_of", format!("names `{}` of other parties or another currency", short(id))));
        }
        if reversal.at < sale.at {
            return Err(at.wrong("at", format!("is before `{}`, which it reverses", short(id))));
        }
        if let Some(reversal) = self.transactions.get_mut(place) {
            reversal.reversal_of = Some(original);
        }
        Ok(())
    }

    fn nothing_is_reversed_twice(&self) -> Result<(), InputError> {
        let mut left: HashMap<usize, i64> = HashMap::new();
        for (place, reversal) in self.transactions.iter().enumerate() {
            let Some(original) = reversal.reversal_of else { continue };
            let at = Place { place, id: Some(&reversal.id) };
            let Some(sale) = self.transactions.get(original) else { continue };
            if sale.reversal_of.is_some() {
                return Err(at.wrong("reversal_of", format!("names `{}`, itself a reversal", short(&sale.id))));
            }
            let left = left.entry(original).or_insert(sale.amount);
            if reversal.amount > *left {
                let why = format!("takes away more than the {left} that are left of `{}`", short(&sale.id));
                return Err(at.wrong("amount", why));
            }
            *left -= reversal.amount;
        }
        Ok(())
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
