//! What a claim rests on: statement lines, the transactions made of them, the programme, its evaluation.

use std::collections::{BTreeMap, BTreeSet};

use catalog::offer::{Currency, Minor};
use catalog::{AgreementId, DatasetId, Digest, ParticipantId, VersionName};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::annex::{Annex, Closed};
use super::bundle::WITNESSED;
use super::converted::{AtRate, of_all};
use super::shares::Shares;
use crate::incentive::{Evaluation, Input, Programme, Side, evaluate};
use crate::month::Month;
use crate::statement::TaxKnown;

/// Most contracts of one claim: each is a key in the store, written with the claim.
pub const CONTRACTS_MAX: usize = 2000;

/// A party as it was known when the claim was filed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Legal name by script.
    pub names: BTreeMap<String, String>,
    /// Unified social credit code or business registration number.
    pub registration: Option<String>,
    /// Participants it is affiliated with.
    pub affiliates: BTreeSet<ParticipantId>,
}

/// A line of a monthly statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sold {
    /// Which month.
    pub period: Month,
    /// ISO 4217.
    pub currency: Currency,
    /// Under which agreement: the contract.
    pub agreement: AgreementId,
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// Whose data.
    pub provider: ParticipantId,
    /// Who bought.
    pub consumer: ParticipantId,
    /// Who sold.
    pub broker: ParticipantId,
    /// Units delivered for the first time.
    pub units: u64,
    /// Rows delivered for the first time.
    pub rows: u64,
    /// Stored bytes of units delivered for the first time.
    pub unit_bytes: u64,
    /// Bytes on the wire.
    pub wire_bytes: u64,
    /// The price, minor units.
    pub amount: Minor,
    /// The broker's part of it.
    pub fee: Minor,
    /// The tax within it.
    pub tax: Minor,
    /// Whether that is known.
    pub vat: TaxKnown,
    /// Unit bytes shown by the connection.
    pub sent: u64,
    /// Unit bytes shown by the consumer's signature.
    pub receipt: u64,
    /// At which rates the participant's own amount was posted, if it is not in CNY: what is in none counts for nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<AtRate>,
}

impl Sold {
    /// The amount of `participant` itself: what it earns as broker, or owes as consumer.
    pub fn own(&self, side: Side, participant: &ParticipantId) -> Option<Minor> {
        let (own, amount) = match side {
            Side::Broker => (&self.broker, self.fee),
            Side::Consumer => (&self.consumer, self.amount),
        };
        (own == participant && amount.0 >= 0).then_some(amount)
    }
}

/// `statements.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statements {
    /// Whose.
    pub participant: ParticipantId,
    /// When they were made: a month that was not over then is as it stood.
    pub made: Timestamp,
    /// The trading platform that this gateway is recognised as.
    pub platform: Option<String>,
    /// Everybody who is named.
    pub parties: BTreeMap<ParticipantId, Party>,
    /// The lines of the base year and of the months beside it, by month.
    pub lines: Vec<Sold>,
}

/// `claim.json`; its digest is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its id.
    pub id: String,
    /// Whose.
    pub participant: ParticipantId,
    /// Of which programme.
    pub programme: String,
    /// For which year, as the programme counts them.
    pub year: i16,
    /// The year of the transactions.
    pub base_year: i16,
    /// Fen.
    pub base: String,
    /// Fen.
    pub amount: String,
    /// Contracts that it takes up: in this year nobody may claim them again.
    pub contracts: BTreeSet<String>,
    /// SHA-256 of each of the contents.
    pub contents: BTreeMap<String, Digest>,
    /// What shows the sales.
    pub shares: Shares,
}

/// The frozen files, by name.
pub type Contents = BTreeMap<String, String>;

/// Why nothing can be claimed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The programme gives nothing: the steps say why.
    #[error("`{programme}` gives `{participant}` nothing for {year}: base {base} fen")]
    NotEligible {
        /// Which programme.
        programme: String,
        /// Who asked.
        participant: ParticipantId,
        /// For which year.
        year: i16,
        /// What counts.
        base: String,
        /// Every step.
        trace: Vec<String>,
    },
    /// More contracts than one claim takes.
    #[error("the claim has {0} contracts; one takes at most {CONTRACTS_MAX}")]
    Contracts(usize),
    /// What was computed does not fit together. A bug of ours.
    #[error("the claim cannot be made: {0}")]
    Unfit(String),
}

impl Statements {
    /// Whether a party of the line has declared the other affiliated, or they are one.
    pub fn affiliated(&self, sold: &Sold) -> bool {
        let names = |party: &ParticipantId, other: &ParticipantId| {
            self.parties.get(party).is_some_and(|party| party.affiliates.contains(other))
        };
        sold.broker == sold.consumer || names(&sold.broker, &sold.consumer) || names(&sold.consumer, &sold.broker)
    }

    /// GB 32100: a unified social credit code that begins with 91 is an enterprise's.
    fn enterprise(&self, consumer: &ParticipantId) -> bool {
        let code = self.parties.get(consumer).and_then(|party| party.registration.as_deref());
        code.is_some_and(|code| code.len() == 18 && code.starts_with("91"))
    }

    /// The last moment of a line's month that the statements know of.
    pub(super) fn at(&self, period: Month) -> Timestamp {
        let next = jiff::civil::date(period.year(), period.month(), 1).checked_add(jiff::Span::new().months(1));
        let end = next
            .ok()
            .and_then(|next| next.to_zoned(TimeZone::fixed(Offset::constant(8))).ok())
            .and_then(|next| next.timestamp().checked_sub(jiff::SignedDuration::from_secs(1)).ok());
        end.map_or(self.made, |end| end.min(self.made))
    }

    /// The transactions of `programme`'s input: what brokers earn themselves, or what consumers pay. Where a contract is
    /// claimed once, its months are one transaction. What was posted in another currency without a rate is one of its own.
    pub fn transactions(&self, programme: &Programme) -> Value {
        let side = programme.terms.base.participant;
        let mut transactions: BTreeMap<String, (Timestamp, i64, &Sold, Vec<&AtRate>)> = BTreeMap::new();
        let dealt = |sold: &&Sold| [&sold.broker, &sold.consumer].contains(&&self.participant);
        for sold in self.lines.iter().filter(dealt) {
            let id = if programme.terms.conditions.contract_once {
                format!("{}/{}", sold.period.year(), sold.agreement)
            } else {
                format!("{}/{}/{}", sold.period, sold.agreement, sold.version)
            };
            let amount = if side == Side::Broker { sold.fee.0 } else { sold.amount.0 };
            let at = self.at(sold.period);
            let entry = transactions.entry(id).or_insert((at, 0, sold, Vec::new()));
            (entry.0, entry.1, entry.2) = (entry.0.max(at), entry.1.saturating_add(amount), sold);
            entry.3.extend(&sold.rates);
        }
        let transactions: Vec<Value> = transactions
            .into_iter()
            .flat_map(|(id, (at, amount, sold, parts))| {
                let Some((converted, rate)) = of_all(&parts) else { return vec![(id, at, amount, sold, None)] };
                let rest = amount.saturating_sub(converted.0);
                let without = (rest > 0).then(|| (format!("{id}/unconverted"), at, rest, sold, None));
                std::iter::once((id, at, converted.0, sold, Some(rate))).chain(without).collect()
            })
            .map(|(id, at, amount, sold, rate)| {
                let mut transaction = json!({
                    "id": id, "broker": sold.broker, "consumer": sold.consumer, "at": at.to_string(),
                    "amount": amount.to_string(), "currency": sold.currency, "kind": "data_transaction_service",
                    "affiliated": self.affiliated(sold), "contract": sold.agreement,
                    "enterprise": self.enterprise(&sold.consumer),
                });
                if let (Some(platform), Some(members)) = (&self.platform, transaction.as_object_mut()) {
                    members.insert("platform".to_owned(), json!(platform));
                }
                if let (Some(rate), Some(members)) = (rate, transaction.as_object_mut()) {
                    members.insert("rate".to_owned(), rate);
                }
                transaction
            })
            .collect();
        json!({ "transactions": transactions })
    }

    /// RFC 4180, one row a line. No cell can be taken for a formula.
    pub fn csv(&self) -> String {
        let mut text = "period,currency,agreement,dataset,version,provider,consumer,broker,units,rows,unit_bytes,\
                        wire_bytes,amount,fee,evidence_sent,evidence_receipt,tax,vat\r\n"
            .to_owned();
        for sold in &self.lines {
            let cells = [
                sold.period.to_string(),
                sold.currency.as_str().to_owned(),
                sold.agreement.to_string(),
                cell(sold.dataset.as_ref()),
                cell(sold.version.as_ref()),
                sold.provider.to_string(),
                sold.consumer.to_string(),
                sold.broker.to_string(),
                sold.units.to_string(),
                sold.rows.to_string(),
                sold.unit_bytes.to_string(),
                sold.wire_bytes.to_string(),
                sold.amount.0.to_string(),
                sold.fee.0.to_string(),
                sold.sent.to_string(),
                sold.receipt.to_string(),
                sold.tax.0.to_string(),
                if sold.vat == TaxKnown::Included { "included" } else { "unknown" }.to_owned(),
            ];
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }

    /// Freezes a claim of `programme` for `year` under `id`, with what stands beside the statements.
    pub fn claim(
        &self,
        id: &str,
        programme: &Programme,
        year: i16,
        annex: &Annex,
    ) -> Result<(Claim, Contents), ClaimError> {
        let unfit = |error: &dyn std::fmt::Display| ClaimError::Unfit(error.to_string());
        let transactions = canonical(&self.transactions(programme)).map_err(|error| unfit(&error))?;
        let input = Input::parse(&transactions).map_err(|error| unfit(&error))?;
        let evaluation = evaluate(programme, year, &input);
        let line = evaluation.lines.iter().find(|line| line.participant == self.participant.as_str());
        let Some(line) = line.filter(|line| line.eligible && line.amount.0 > 0) else {
            return Err(ClaimError::NotEligible {
                programme: programme.terms.id.clone(),
                participant: self.participant.clone(),
                year,
                base: line.map_or(0, |line| line.base.0).to_string(),
                trace: line.map(|line| line.trace.clone()).unwrap_or_default(),
            });
        };
        let counted = line.counted.iter().filter_map(|place| input.transactions().get(*place));
        let contracts: BTreeSet<String> = counted.map(|transaction| transaction.contract.clone()).collect();
        if contracts.len() > CONTRACTS_MAX {
            return Err(ClaimError::Contracts(contracts.len()));
        }
        let base_year = programme.base_year(year);
        let side = programme.terms.base.participant;
        let closed = Closed::of(&annex.sums, side, &self.participant, base_year).map_err(|error| unfit(&error))?;
        let text = |value: Result<String, serde_json::Error>| value.map_err(|error| unfit(&error));
        let mut contents: Contents = [
            ("checkpoints/opening", annex.opening.clone()),
            ("contracts/contracts.json", text(canonical(&annex.contracts))?),
            ("lines.csv", self.csv()),
            ("payments/payments.json", text(canonical(&annex.payments))?),
            ("receipts/receipts.json", text(canonical(&annex.receipts))?),
            ("rules/evaluation.json", canonical(&evaluation).map_err(|error| unfit(&error))?),
            ("rules/programme.toml", programme.text.clone()),
            ("statements.json", canonical(self).map_err(|error| unfit(&error))?),
            ("sums/sums.json", text(canonical(&annex.sums))?),
            ("tools.json", text(canonical(&annex.tools))?),
            ("transactions.json", transactions),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into();
        contents.extend(annex.witnessed.iter().map(|checkpoint| (WITNESSED.to_owned(), checkpoint.clone())));
        let claim = Claim {
            id: id.to_owned(),
            participant: self.participant.clone(),
            programme: programme.terms.id.clone(),
            year,
            base_year,
            base: line.base.0.to_string(),
            amount: line.amount.0.to_string(),
            contracts,
            contents: contents.iter().map(|(name, text)| (name.clone(), Digest::of(text.as_bytes()))).collect(),
            shares: self.shares(side, base_year, annex, &closed),
        };
        Ok((claim, contents))
    }
}

impl Claim {
    /// The bytes of `claim.json`.
    pub fn text(&self) -> Result<String, ClaimError> {
        canonical(self).map_err(|error| ClaimError::Unfit(error.to_string()))
    }

    /// Whether `evaluation` gives what is claimed.
    pub fn is_given_by(&self, evaluation: &Evaluation) -> bool {
        evaluation.programme == self.programme
            && evaluation.year == self.year
            && evaluation.lines.iter().any(|line| {
                line.participant == self.participant.as_str()
                    && line.eligible
                    && line.base.0.to_string() == self.base
                    && line.amount.0.to_string() == self.amount
            })
    }
}

/// An id as a cell: ids are letters, digits, dots and signs, and the first sign gets an apostrophe.
fn cell(id: &str) -> String {
    if id.starts_with(|first: char| first.is_ascii_alphanumeric()) { id.to_owned() } else { format!("'{id}") }
}

/// RFC 8785.
pub(super) fn canonical<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let value = serde_json::to_value(value)?;
    serde_json_canonicalizer::to_string(&value)
}
