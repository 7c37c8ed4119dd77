//! Views to HTML: pages for people, made from the wire types that programs get.
//!
//! Pure. Pages are typed templates that escape whatever they are given; they hold no script, load nothing, and carry the
//! policy that tells a browser so.

mod card;
mod page;
mod plot;
mod words;

pub use card::card;
pub use page::{Page, PageError};
