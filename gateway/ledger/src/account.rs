//! Accounts: who owes, who is owed, and what stands between them (LEDGER.md, "Double entry").

use std::fmt;
use std::str::FromStr;

use catalog::ParticipantId;
use serde::{Deserialize, Serialize};

/// The class of a broker's revenue that the incentive programmes count.
pub const DATA_TRANSACTION_SERVICE: &str = "data_transaction_service";

/// Longest free part of an account's name, in bytes.
const PART_BYTES_MAX: usize = 64;

/// One account of one ledger; a ledger has one currency, so the currency is no part of the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Account {
    /// What a consumer owes for what it was delivered.
    Receivable(ParticipantId),
    /// What a consumer has paid in advance.
    Prepaid(ParticipantId),
    /// What a consumer has shown to have paid.
    Paid(ParticipantId),
    /// What a provider is owed.
    Payable(ParticipantId),
    /// What a broker has earned, by class.
    Revenue {
        /// Which broker.
        broker: ParticipantId,
        /// For what: `[a-z0-9_]`.
        class: String,
    },
    /// Tax within prices, by kind.
    Tax(String),
    /// What a voucher programme pays.
    Voucher(String),
    /// Where a currency leaves one ledger and enters the other.
    FxLiquidity,
    /// The other side of holds: nobody's until it is known whose.
    Suspense,
    /// What is to be paid back.
    Refund,
}

/// A text that names no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an account: write `consumer:ID:receivable`, `consumer:ID:prepaid`, `consumer:ID:paid`, \
     `provider:ID:payable`, `broker:ID:revenue:CLASS`, `tax:KIND`, `voucher:PROGRAMME`, `fx:liquidity`, `suspense` or `refund`"
)]
pub struct AccountError(String);

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receivable(id) => write!(f, "consumer:{id}:receivable"),
            Self::Prepaid(id) => write!(f, "consumer:{id}:prepaid"),
            Self::Paid(id) => write!(f, "consumer:{id}:paid"),
            Self::Payable(id) => write!(f, "provider:{id}:payable"),
            Self::Revenue { broker, class } => write!(f, "broker:{broker}:revenue:{class}"),
            Self::Tax(kind) => write!(f, "tax:{kind}"),
            Self::Voucher(programme) => write!(f, "voucher:{programme}"),
            Self::FxLiquidity => f.write_str("fx:liquidity"),
            Self::Suspense => f.write_str("suspense"),
            Self::Refund => f.write_str("refund"),
        }
    }
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        let wrong = || AccountError(text.chars().take(80).collect());
        let id = |id: &str| ParticipantId::parse(id).map_err(|_| wrong());
        let part = |part: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
            let fits = (1..=PART_BYTES_MAX).contains(&part.len()) && part.bytes().all(plain);
            if fits { Ok(part.to_owned()) } else { Err(wrong()) }
        };
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["consumer", who, "receivable"] => id(who).map(Self::Receivable),
            ["consumer", who, "prepaid"] => id(who).map(Self::Prepaid),
            ["consumer", who, "paid"] => id(who).map(Self::Paid),
            ["provider", who, "payable"] => id(who).map(Self::Payable),
            ["broker", who, "revenue", class] => Ok(Self::Revenue { broker: id(who)?, class: part(class)? }),
            ["tax", kind] => part(kind).map(Self::Tax),
            ["voucher", programme] => part(programme).map(Self::Voucher),
            ["fx", "liquidity"] => Ok(Self::FxLiquidity),
            ["suspense"] => Ok(Self::Suspense),
            ["refund"] => Ok(Self::Refund),
            _ => Err(wrong()),
        }
    }
}

impl Account {
    /// The participant whose account it is; those of the node itself have none.
    pub const fn owner(&self) -> Option<&ParticipantId> {
        match self {
            Self::Receivable(id)
            | Self::Prepaid(id)
            | Self::Paid(id)
            | Self::Payable(id)
            | Self::Revenue { broker: id, .. } => Some(id),
            Self::Tax(_) | Self::Voucher(_) | Self::FxLiquidity | Self::Suspense | Self::Refund => None,
        }
    }
}

impl TryFrom<String> for Account {
    type Error = AccountError;
    fn try_from(text: String) -> Result<Self, AccountError> {
        text.parse()
    }
}

impl From<Account> for String {
    fn from(account: Account) -> Self {
        account.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (text, owner) in [
            ("consumer:hku:receivable", Some("hku")),
            ("consumer:hku:prepaid", Some("hku")),
            ("consumer:hku:paid", Some("hku")),
            ("provider:qianhai:payable", Some("qianhai")),
            ("broker:qianhai:revenue:data_transaction_service", Some("qianhai")),
            ("tax:vat", None),
            ("voucher:shenzhen-corpus-voucher-2024", None),
            ("fx:liquidity", None),
            ("suspense", None),
            ("refund", None),
        ] {
            let account: Account = text.parse().unwrap();
            assert_eq!(account.to_string(), text);
            assert_eq!(account.owner().map(ParticipantId::as_str), owner, "{text}");
        }
        for bad in ["", "consumer:hku", "consumer:HKU:receivable", "broker:hku:revenue:", "tax:增值税", "fx", "tax:a:b"]
        {
            assert!(bad.parse::<Account>().unwrap_err().to_string().contains("is not an account"), "{bad}");
        }
    }
}
