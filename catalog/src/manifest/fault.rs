//! What is wrong with a manifest: the line, the key, the mistake and what would be right.

use std::fmt;
use std::ops::Range;

/// Problems reported of one manifest; more than these help nobody.
const FAULTS_MAX: usize = 50;

/// A manifest that cannot be used: the first problem, and the others of the same reading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// Line, from 1; 0 when the text as a whole is wrong.
    pub line: usize,
    /// Dotted key path (`dataset.class`); empty for the text as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub fix: String,
    /// The other problems, in order of line.
    pub more: Vec<ManifestError>,
}

impl ManifestError {
    /// A problem with the text as a whole.
    pub(super) fn whole(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { line: 0, path: String::new(), message: message.into(), fix: fix.into(), more: Vec::new() }
    }

    /// This problem and the others, in order of line.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.more)
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.all().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            if fault.line > 0 {
                write!(f, "line {}: ", fault.line)?;
            }
            if !fault.path.is_empty() {
                write!(f, "`{}` ", fault.path)?;
            }
            write!(f, "{}: {}", fault.message, fault.fix)?;
        }
        Ok(())
    }
}

/// Collects problems while a manifest is read.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    text: &'a str,
    found: Vec<ManifestError>,
}

impl<'a> Faults<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// The line, from 1, in which byte `at` stands.
    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn add(&mut self, span: &Range<usize>, path: &str, message: impl Into<String>, fix: impl Into<String>) {
        if self.found.len() < FAULTS_MAX {
            self.found.push(ManifestError {
                line: self.line(span.start),
                path: path.to_owned(),
                message: message.into(),
                fix: fix.into(),
                more: Vec::new(),
            });
        }
    }

    /// `None` when nothing was wrong.
    pub(super) fn finish(mut self) -> Option<ManifestError> {
        self.found.sort_by_key(|fault| fault.line);
        let mut found = self.found.into_iter();
        let mut first = found.next()?;
        first.more = found.collect();
        Some(first)
    }
}
