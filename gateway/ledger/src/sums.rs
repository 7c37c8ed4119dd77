//! What a closed month commits to: for each ledger one Merkle-sum root over all of its accounts, with what stood on each at
//! the month's beginning and end (LEDGER.md, "Completeness").
//!
//! Every node carries the sums of what is under it, so that no balance can be left out of a total, split between two parties
//! or shown differently to two readers: whoever holds the path of an account recomputes root and totals. Only posted sums
//! count; what is held is nobody's yet. The tree has the shape of RFC 6962:
//!
//! ```text
//! leaf = SHA-256(0x00 ‖ RFC 8785 JSON of currency, period, account, opening, closing)
//! node = SHA-256(0x01 ‖ left ‖ sums of left ‖ right ‖ sums of right)
//! sums = opening debits, opening credits, closing debits, closing credits: decimal, each followed by a line feed
//! ```

use std::collections::BTreeMap;

use catalog::Digest;
use catalog::digest::Hasher;
use catalog::offer::Currency;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::account::Account;
use crate::month::Month;

mod periods;

pub use periods::{CLOSE_KIND, Periods, PeriodsError};

/// Posted debits and credits of an account, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sides {
    /// Debits, minor units.
    #[serde(with = "decimal")]
    pub debits: i128,
    /// Credits, minor units.
    #[serde(with = "decimal")]
    pub credits: i128,
}

/// Sums as decimal strings: JSON's numbers end at 2^53.
mod decimal {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number: i128 = text.parse().map_err(serde::de::Error::custom)?;
        // A negative sum could hide a positive one beside it.
        if number >= 0 && number.to_string() == text {
            return Ok(number);
        }
        Err(serde::de::Error::custom("a sum is a decimal of digits"))
    }
}

impl Sides {
    fn plus(self, other: Self) -> Option<Self> {
        let debits = self.debits.checked_add(other.debits)?;
        Some(Self { debits, credits: self.credits.checked_add(other.credits)? })
    }
}

/// What stood on an account, or on all under a node, at the beginning and at the end of a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// At its beginning.
    pub opening: Sides,
    /// At its end.
    pub closing: Sides,
}

impl Sums {
    fn plus(self, other: Self) -> Option<Self> {
        Some(Self { opening: self.opening.plus(other.opening)?, closing: self.closing.plus(other.closing)? })
    }

    fn text(&self) -> String {
        let Self { opening, closing } = self;
        format!("{}\n{}\n{}\n{}\n", opening.debits, opening.credits, closing.debits, closing.credits)
    }
}

/// What a `period_close` leaf says of one ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// Which ledger.
    pub currency: Currency,
    /// How many accounts.
    pub accounts: usize,
    /// Root of the tree.
    pub root: Digest,
    /// Sums of all accounts.
    #[serde(flatten)]
    pub sums: Sums,
}

/// A node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    hash: Digest,
    sums: Sums,
}

impl Node {
    fn leaf(currency: Currency, period: Month, account: &Account, sums: &Sums) -> Self {
        let row = json!({
            "currency": currency, "period": period, "account": account, "opening": sums.opening, "closing": sums.closing,
        });
        // Strings only: canonical JSON of them cannot fail.
        let text = serde_json_canonicalizer::to_vec(&row).unwrap_or_default();
        Self { hash: Digest::of(&[&[0], text.as_slice()].concat()), sums: *sums }
    }

    fn of(left: &Self, right: &Self) -> Option<Self> {
        let mut hasher = Hasher::default();
        hasher.update(&[1]);
        for child in [left, right] {
            hasher.update(child.hash.as_bytes());
            hasher.update(child.sums.text().as_bytes());
        }
        Some(Self { hash: hasher.finish(), sums: left.sums.plus(right.sums)? })
    }
}

/// On which side of the path a sibling stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Before it.
    Left,
    /// Behind it.
    Right,
}

/// A sibling on the path to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where it stands.
    pub side: Side,
    /// Its hash.
    pub hash: Digest,
    /// What is under it.
    #[serde(flatten)]
    pub sums: Sums,
}

/// That an account has a place under the root of its ledger and month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SumProof {
    /// Which ledger.
    pub currency: Currency,
    /// Which month.
    pub period: Month,
    /// Which account.
    pub account: Account,
    /// What stood on it.
    #[serde(flatten)]
    pub sums: Sums,
    /// Siblings from the leaf up.
    pub path: Vec<Step>,
}

/// A proof that does not lead to the commitment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{account}` is not under the root of {currency} in {period} with these balances")]
pub struct SumProofError {
    account: Account,
    currency: &'static str,
    period: Month,
}

impl SumProof {
    /// Whether it leads to `commitment`.
    ///
    /// # Errors
    /// It does not.
    pub fn verify(&self, commitment: &Commitment) -> Result<(), SumProofError> {
        let (account, currency, period) = (self.account.clone(), self.currency.as_str(), self.period);
        let wrong = SumProofError { account, currency, period };
        let leaf = Node::leaf(self.currency, self.period, &self.account, &self.sums);
        let root = self.path.iter().try_fold(leaf, |node, step| {
            let sibling = Node { hash: step.hash, sums: step.sums };
            match step.side {
                Side::Left => Node::of(&sibling, &node),
                Side::Right => Node::of(&node, &sibling),
            }
        });
        let holds = root.is_some_and(|root| root.hash == commitment.root && root.sums == commitment.sums);
        if holds && self.currency == commitment.currency { Ok(()) } else { Err(wrong) }
    }
}

/// What stood on every account at the beginning and end of a month, by ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Closing(BTreeMap<Currency, BTreeMap<Account, Sums>>);

impl Closing {
    /// The trees of `period`. `None` if sums do not fit.
    pub fn trees(&self, period: Month) -> Option<Vec<SumTree>> {
        self.0.iter().map(|(currency, rows)| SumTree::new(*currency, period, rows.clone())).collect()
    }

    /// What the leaf that closes `period` says.
    pub fn commitments(&self, period: Month) -> Option<Vec<Commitment>> {
        self.trees(period)?.iter().map(SumTree::commitment).collect()
    }
}

/// The tree of one ledger and month.
#[derive(Debug, Clone)]
pub struct SumTree {
    currency: Currency,
    period: Month,
    rows: Vec<(Account, Sums)>,
    /// From the leaves up; a node without a sibling goes up unchanged.
    levels: Vec<Vec<Node>>,
}

impl SumTree {
    /// The tree over `rows`, in the order of accounts. `None` if there is none, or sums do not fit.
    pub fn new(currency: Currency, period: Month, rows: BTreeMap<Account, Sums>) -> Option<Self> {
        let rows: Vec<(Account, Sums)> = rows.into_iter().collect();
        let mut level: Vec<Node> =
            rows.iter().map(|(account, sums)| Node::leaf(currency, period, account, sums)).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => Node::of(left, right),
                other => other.first().copied(),
            });
            let above = above.collect::<Option<Vec<_>>>()?;
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        levels.last().is_some_and(|top| top.len() == 1).then_some(Self { currency, period, rows, levels })
    }

    /// What the leaf of the month says of it.
    pub fn commitment(&self) -> Option<Commitment> {
        let root = self.levels.last()?.first()?;
        Some(Commitment { currency: self.currency, accounts: self.rows.len(), root: root.hash, sums: root.sums })
    }

    /// The accounts and what stood on them.
    pub fn rows(&self) -> &[(Account, Sums)] {
        &self.rows
    }

    /// The proof of an account, if it is in the tree.
    pub fn proof(&self, account: &Account) -> Option<SumProof> {
        let mut place = self.rows.binary_search_by(|(other, _)| other.cmp(account)).ok()?;
        let (account, sums) = self.rows.get(place)?.clone();
        let mut path = Vec::new();
        for level in &self.levels {
            let side = if place.is_multiple_of(2) { Side::Right } else { Side::Left };
            if let Some(sibling) = level.get(place ^ 1) {
                path.push(Step { side, hash: sibling.hash, sums: sibling.sums });
            }
            place /= 2;
        }
        Some(SumProof { currency: self.currency, period: self.period, account, sums, path })
    }
}

#[cfg(test)]
mod tests;
