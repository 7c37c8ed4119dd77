//! A finished page, and what a browser is told of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

/// The style sheet of every page. It stands in the page, so that a page is one file.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The document, UTF-8.
    pub html: String,
    /// `Content-Security-Policy`: nothing but this page's own style sheet, in no frame.
    pub policy: String,
}

/// A page that could not be written: a fault of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageError(pub(crate) String);

impl std::fmt::Display for PageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the page could not be written: {}", self.0)
    }
}

impl std::error::Error for PageError {}

/// The policy that the page itself names: a page that was saved keeps it.
pub(crate) fn policy() -> String {
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    // CSP 3, §6.7: a hash allows this style sheet and no other, nor any `style` attribute.
    format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'")
}

impl Page {
    pub(crate) fn new(html: String) -> Self {
        // A frame's policy counts only in the header (CSP 3, §3.3).
        Self { html, policy: format!("{}; frame-ancestors 'none'", policy()) }
    }
}
