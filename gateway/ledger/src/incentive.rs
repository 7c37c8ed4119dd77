//! Incentive programmes: rules as data, evaluated over transactions with a trace of every step.
//!
//! A programme is a versioned file (`programmes/*.toml`) with its dates, the passage it comes from and its parameters.
//! [`evaluate`] is pure: the same programme, year and transactions give the same lines. Amounts are integer fen; what is
//! awarded is floored. Nothing that the text leaves open is guessed: it is told in the trace.

mod evaluate;
mod input;
mod programme;

pub use evaluate::{Evaluation, Fen, Line, evaluate};
pub use input::{Input, InputError, Rate, Transaction};
pub use programme::{Programme, ProgrammeError, Side};
