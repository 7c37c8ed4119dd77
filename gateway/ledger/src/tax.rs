//! Which tax a price holds: what its offer says, else what the node's configuration says for its currency and day. Where
//! neither says anything it is not known, and whoever shows an amount says so.

use catalog::offer::Currency;
use catalog::{Offer, Vat};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// `[[vat]]`: a rate and its days in Asia/Shanghai.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxRate {
    /// Of prices in which currency.
    pub currency: Currency,
    /// Parts per million of the price without tax: 60000 is six per cent. 0 says that there is none.
    pub rate_ppm: u32,
    /// The first day.
    pub from: Date,
    /// The last day; for good if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

impl TaxRate {
    fn covers(&self, day: Date) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }
}

/// Rates that contradict each other or say nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaxError {
    /// More than the whole price.
    #[error("a rate of {0} parts per million: write 0 to 1000000")]
    Rate(u32),
    /// It ends before it begins.
    #[error("the rate from {from} ends before, on {to}")]
    Days {
        /// Its first day.
        from: Date,
        /// Its last.
        to: Date,
    },
    /// Two rates of one currency share a day.
    #[error("two rates of {} cover {day}: let the first end the day before the second begins", currency.as_str())]
    Overlap {
        /// Of which currency.
        currency: Currency,
        /// Which day.
        day: Date,
    },
}

/// The rates of a node; none says that tax is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taxes(Vec<TaxRate>);

impl Taxes {
    /// Checks `rates`.
    pub fn new(rates: Vec<TaxRate>) -> Result<Self, TaxError> {
        for (place, rate) in rates.iter().enumerate() {
            if rate.rate_ppm > 1_000_000 {
                return Err(TaxError::Rate(rate.rate_ppm));
            }
            if let Some(to) = rate.to.filter(|to| *to < rate.from) {
                return Err(TaxError::Days { from: rate.from, to });
            }
            for other in rates.iter().take(place).filter(|other| other.currency == rate.currency) {
                // Two intervals meet exactly if one of them covers the other's first day.
                for (one, two) in [(rate, other), (other, rate)] {
                    if one.covers(two.from) {
                        return Err(TaxError::Overlap { currency: rate.currency, day: two.from });
                    }
                }
            }
        }
        Ok(Self(rates))
    }

    /// The tax within prices under `terms` at `at`, if it is known.
    pub fn vat(&self, terms: &Offer, at: Timestamp) -> Option<Vat> {
        let day = at.to_zoned(TimeZone::fixed(Offset::constant(8))).date();
        let configured = |rate: &&TaxRate| rate.currency == terms.price.currency && rate.covers(day);
        terms.vat.or_else(|| self.0.iter().find(configured).map(|rate| Vat { rate_ppm: rate.rate_ppm }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::testing;

    fn rate(rate_ppm: u32, from: &str, to: Option<&str>) -> TaxRate {
        let day = |text: &str| text.parse().unwrap();
        TaxRate { currency: Currency::Cny, rate_ppm, from: day(from), to: to.map(day) }
    }

    fn terms(vat: Option<u32>, currency: Currency) -> Offer {
        Offer { vat: vat.map(|rate_ppm| Vat { rate_ppm }), ..testing::offer(currency) }
    }

    #[test]
    fn the_offer_comes_first_then_the_day_in_shanghai_and_else_nothing_is_known() {
        let taxes = Taxes::new(vec![rate(60_000, "2026-01-01", Some("2026-12-31")), rate(0, "2027-01-01", None)]);
        let taxes = taxes.unwrap();
        let known = |terms: &Offer, at: &str| taxes.vat(terms, at.parse().unwrap()).map(|vat| vat.rate_ppm);
        assert_eq!(known(&terms(None, Currency::Cny), "2025-12-31T15:59:59Z"), None);
        assert_eq!(known(&terms(None, Currency::Cny), "2025-12-31T16:00:00Z"), Some(60_000));
        assert_eq!(known(&terms(None, Currency::Cny), "2026-12-31T16:00:00Z"), Some(0));
        assert_eq!(known(&terms(None, Currency::Hkd), "2026-06-01T00:00:00Z"), None);
        assert_eq!(known(&terms(Some(30_000), Currency::Cny), "2026-06-01T00:00:00Z"), Some(30_000));
        assert_eq!(Taxes::default().vat(&terms(None, Currency::Cny), Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn rates_that_contradict_each_other_are_refused() {
        let refused = |rates| Taxes::new(rates).unwrap_err();
        assert_eq!(refused(vec![rate(1_000_001, "2026-01-01", None)]), TaxError::Rate(1_000_001));
        assert!(matches!(refused(vec![rate(1, "2026-01-02", Some("2026-01-01"))]), TaxError::Days { .. }));
        for (first, second) in [
            (rate(1, "2026-01-01", None), rate(2, "2026-06-01", None)),
            (rate(2, "2026-06-01", None), rate(1, "2026-01-01", Some("2026-06-01"))),
        ] {
            assert!(matches!(refused(vec![first, second]), TaxError::Overlap { .. }));
        }
        let hkd = TaxRate { currency: Currency::Hkd, ..rate(2, "2026-01-01", None) };
        assert!(Taxes::new(vec![rate(1, "2026-01-01", None), hkd]).is_ok());
    }
}
