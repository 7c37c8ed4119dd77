//! `/v1/fx-rates` and `/v1/payments`.

use catalog::offer::{Currency, Minor};
use catalog::{AgreementId, DatasetId, ParticipantId};
use gateway_ledger::fx::Rate;
use gateway_ledger::payment::{Payment, Shown};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A recorded rate of exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateView {
    /// Its id.
    pub id: String,
    /// The rate: `num / den` minor units of `to` for one of `from`, who publishes it, of which day.
    #[serde(flatten)]
    pub rate: Rate,
    /// When it was recorded, RFC 3339.
    pub at: String,
}

/// `GET /v1/fx-rates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateList {
    /// By id: the oldest first.
    pub rates: Vec<RateView>,
}

/// What `POST /v1/payments` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordPayment {
    /// For what.
    pub agreement: AgreementId,
    /// What was paid, minor units.
    pub amount: Minor,
    /// In which currency.
    pub currency: Currency,
    /// On which day.
    pub on: Date,
    /// What shows it.
    pub shown: Shown,
    /// Id of a recorded rate, where it was paid in another currency than the agreement's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// What the broker keeps of the exchange, in the agreement's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Minor>,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentState {
    /// It counts.
    Recorded,
    /// Two officers have taken it back.
    Reversed,
}

/// A payment as its parties see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    /// The payment.
    #[serde(flatten)]
    pub payment: Payment,
    /// Where it stands.
    pub state: PaymentState,
    /// Of which dataset the agreement is.
    pub dataset: DatasetId,
    /// Whose data.
    pub provider: ParticipantId,
    /// The month in whose books it stands.
    pub period: String,
    /// When it was recorded, RFC 3339.
    pub at: String,
}

/// `GET /v1/payments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentList {
    /// By id: the oldest first.
    pub payments: Vec<PaymentView>,
}
