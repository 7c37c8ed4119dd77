//! The meter's arithmetic: sets of delivered bytes, prices, the statements made of them, and whom a year's exports concern.
//!
//! Pure: what was delivered, the agreements and the files' units come in as arguments; amounts are exact rationals in
//! 128-bit integers, floored once per entitlement (agreement × version), never rounded in between.
//! [`incentive`] evaluates programmes (rewards, vouchers) over transactions.

pub mod claim;
pub mod counting;
pub mod incentive;
pub mod interval;
pub mod month;
pub mod persons;
pub mod price;
pub mod statement;

pub use counting::{Contribution, Keyset, Share, Totals, Year};
pub use interval::{IntervalError, IntervalSet};
pub use month::{Month, MonthError};
pub use persons::{PersonSet, PersonsError};
pub use price::{AmountError, ExactSum, Usage, due, fee, quote};
pub use statement::{AgreementUse, Delivery, Evidence, Line, Pull, Statement, StatementError, statements};
