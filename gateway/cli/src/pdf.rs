//! Pages of text and lines as PDF (ISO 32000-1), with Chinese: the font comes from this machine, and what is used of it is
//! embedded.

mod file;
mod font;

pub use file::Document;
pub use font::{Script, find};
