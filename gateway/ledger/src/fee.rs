//! The broker's part of prices whose offers name none: what the node's configuration says for the broker and the class of its
//! revenue. It is taken into the terms when an agreement is made, so that no later configuration changes what was agreed.

use catalog::offer::{Currency, Minor};
use catalog::{Fee, Offer, ParticipantId};
use serde::{Deserialize, Serialize};

use crate::account::DATA_TRANSACTION_SERVICE;

/// `[[fee]]`: a rate or an amount, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeRule {
    /// Of which broker; of all others if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<ParticipantId>,
    /// The class of the broker's revenue: `data_transaction_service`; every class if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Parts per million of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_ppm: Option<u32>,
    /// Minor units a statement line, in the place of a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Minor>,
    /// Of prices in which currency: for an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

/// Rules that contradict each other or say nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    /// More than the whole price.
    #[error("a rate of {0} parts per million: write 0 to 1000000")]
    Rate(u32),
    /// Neither a rate nor an amount in a currency, or both.
    #[error("write `rate_ppm`, or `amount` with its `currency`")]
    Form,
    /// Nothing is earned in it.
    #[error("`{0}` is no class of a broker's revenue: write `{DATA_TRANSACTION_SERVICE}`, or leave it out")]
    Class(String),
    /// Two rules are about the same.
    #[error("two rules are about {0}: nobody can tell which holds")]
    Twice(String),
}

impl FeeRule {
    fn check(&self) -> Result<(), FeeError> {
        match (self.rate_ppm, self.amount, self.currency) {
            (Some(rate), None, None) if rate > 1_000_000 => return Err(FeeError::Rate(rate)),
            (Some(_), None, None) | (None, Some(_), Some(_)) => {}
            _ => return Err(FeeError::Form),
        }
        match &self.class {
            Some(class) if class != DATA_TRANSACTION_SERVICE => Err(FeeError::Class(class.chars().take(64).collect())),
            _ => Ok(()),
        }
    }

    /// Whether some price could meet both.
    fn meets(&self, other: &Self) -> bool {
        let currencies = self.currency.zip(other.currency).is_none_or(|(one, two)| one == two);
        (&self.broker, &self.class) == (&other.broker, &other.class) && currencies
    }

    fn fits(&self, broker: &ParticipantId, class: &str, terms: &Offer) -> bool {
        self.broker.as_ref().is_none_or(|own| own == broker)
            && self.class.as_ref().is_none_or(|own| own == class)
            && self.currency.is_none_or(|own| own == terms.price.currency)
    }

    fn fee(&self) -> Option<Fee> {
        let rate = self.rate_ppm.map(|rate_ppm| Fee::Rate { rate_ppm });
        rate.or_else(|| self.amount.map(|amount| Fee::Fixed { amount }))
    }
}

/// The rules of a node; none says that a broker earns nothing beside what offers name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fees(Vec<FeeRule>);

impl Fees {
    /// Checks `rules`.
    pub fn new(rules: Vec<FeeRule>) -> Result<Self, FeeError> {
        for (place, rule) in rules.iter().enumerate() {
            rule.check()?;
            if rules.iter().take(place).any(|other| other.meets(rule)) {
                let broker = rule.broker.as_ref().map_or("every broker".to_owned(), |broker| format!("`{broker}`"));
                let class = rule.class.as_ref().map_or(String::new(), |class| format!(" and `{class}`"));
                return Err(FeeError::Twice(format!("{broker}{class}")));
            }
        }
        Ok(Self(rules))
    }

    /// The fee of `broker` for data under `terms`: what they name, else the rule that says most of it, a broker before a class.
    pub fn of(&self, broker: &ParticipantId, terms: &Offer) -> Option<Fee> {
        let fitting = self.0.iter().filter(|rule| rule.fits(broker, DATA_TRANSACTION_SERVICE, terms));
        let rule = fitting.max_by_key(|rule| (rule.broker.is_some(), rule.class.is_some()));
        terms.fee.clone().or_else(|| rule.and_then(FeeRule::fee))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::testing;

    fn rules(text: &str) -> Result<Fees, FeeError> {
        #[derive(Deserialize)]
        struct Node {
            fee: Vec<FeeRule>,
        }
        Fees::new(toml::from_str::<Node>(text).unwrap().fee)
    }

    fn terms(currency: Currency, fee: Option<u32>) -> Offer {
        Offer { fee: fee.map(|rate_ppm| Fee::Rate { rate_ppm }), ..testing::offer(currency) }
    }

    #[test]
    fn the_offer_comes_first_then_the_broker_then_the_class_then_everybody() {
        let fees = rules(
            "[[fee]]\nrate_ppm = 1\n[[fee]]\nclass = \"data_transaction_service\"\nrate_ppm = 2\n[[fee]]\nbroker = \"qianhai\"\n\
             amount = \"300\"\ncurrency = \"CNY\"\n[[fee]]\nbroker = \"hku\"\nrate_ppm = 4\n",
        )
        .unwrap();
        let of = |broker: &str, terms: &Offer| fees.of(&broker.parse().unwrap(), terms);
        let rate = |rate_ppm| Some(Fee::Rate { rate_ppm });
        assert_eq!(of("qianhai", &terms(Currency::Cny, Some(9))), rate(9));
        assert_eq!(of("qianhai", &terms(Currency::Cny, None)), Some(Fee::Fixed { amount: Minor(300) }));
        // An amount in another currency is none.
        assert_eq!(of("qianhai", &terms(Currency::Hkd, None)), rate(2));
        assert_eq!(of("hku", &terms(Currency::Hkd, None)), rate(4));
        assert_eq!(of("cuhk", &terms(Currency::Cny, None)), rate(2));
        assert_eq!(
            rules("[[fee]]\nrate_ppm = 1\n").unwrap().of(&"cuhk".parse().unwrap(), &terms(Currency::Cny, None)),
            rate(1)
        );
        assert_eq!(Fees::default().of(&"hku".parse().unwrap(), &terms(Currency::Cny, None)), None);
    }

    #[test]
    fn rules_that_contradict_each_other_or_say_nothing_are_refused() {
        let refused = |text: &str| rules(text).unwrap_err();
        assert_eq!(refused("[[fee]]\nrate_ppm = 1000001\n"), FeeError::Rate(1_000_001));
        for form in [
            "",
            "amount = \"1\"",
            "currency = \"CNY\"",
            "rate_ppm = 1\ncurrency = \"CNY\"",
            "rate_ppm = 1\namount = \"1\"",
        ] {
            assert_eq!(refused(&format!("[[fee]]\n{form}\n")), FeeError::Form, "{form}");
        }
        assert_eq!(refused("[[fee]]\nrate_ppm = 1\nclass = \"x\"\n"), FeeError::Class("x".to_owned()));
        let amount = |currency: &str| format!("[[fee]]\nbroker = \"hku\"\namount = \"1\"\ncurrency = \"{currency}\"\n");
        assert_eq!(refused(&(amount("CNY") + &amount("CNY"))), FeeError::Twice("`hku`".to_owned()));
        assert_eq!(
            refused(&(amount("CNY") + "[[fee]]\nbroker = \"hku\"\nrate_ppm = 1\n")),
            FeeError::Twice("`hku`".to_owned())
        );
        assert!(rules(&(amount("CNY") + &amount("HKD"))).is_ok());
    }
}
