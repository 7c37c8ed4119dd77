//! The meter's arithmetic: sets of delivered units, prices, double entry, the statements made of them, and whom a year's
//! exports concern.
//!
//! Pure: what was delivered, the agreements and the files' units come in as arguments; amounts are exact rationals in
//! 128-bit integers, floored once per entitlement (agreement × version), never rounded in between.
//!
//! | module | does |
//! |---|---|
//! | [`interval`], [`units`] | sets of bytes, and of a file's units and parts of units |
//! | [`price`], [`charge`], [`hold`] | what a delivery costs, what is posted of it and to whom, what is held for it |
//! | [`account`], [`book`], [`fx`], [`payment`] | double entry in a ledger for each currency, and what comes in |
//! | [`tax`] | which tax a price holds |
//! | [`month`], [`sums`] | billing periods, when they close, and what their closing commits to |
//! | [`ack`] | what a consumer signs |
//! | [`statement`] | lines of a month |
//! | [`incentive`], [`claim`] | programmes (rewards, vouchers) over transactions, and what is claimed of them |

mod bitmap;

pub mod account;
pub mod ack;
pub mod book;
pub mod charge;
pub mod claim;
pub mod counting;
pub mod fee;
pub mod fx;
pub mod hold;
pub mod incentive;
pub mod interval;
pub mod month;
pub mod payment;
pub mod persons;
pub mod price;
pub mod statement;
pub mod sums;
pub mod tax;
#[cfg(test)]
mod testing;
pub mod units;

pub use account::{Account, AccountError};
pub use ack::{Ack, AckError, AckedUnits};
pub use book::{Balance, Book, BookError, Transfer};
pub use charge::{Parties, Posted, Split};
pub use counting::{Contribution, Keyset, Share, Totals, Year};
pub use fee::{FeeError, FeeRule, Fees};
pub use hold::{Hold, Quote};
pub use interval::{IntervalError, IntervalSet};
pub use month::{Month, MonthError};
pub use payment::{Payment, PaymentError};
pub use persons::{PersonSet, PersonsError};
pub use price::{AmountError, ExactSum, Usage, due, fee, quote};
pub use statement::{AgreementUse, Delivery, Evidence, Line, PostedLine, Statement, StatementError, statements};
pub use tax::{TaxError, TaxRate, Taxes};
pub use units::{UnitSet, UnitSetError};
