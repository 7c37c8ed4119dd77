//! Where in a Cedar text something is: Cedar says it in bytes, people count lines.

use miette::Diagnostic;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// At this byte.
    Byte(usize),
    /// Where the nth policy begins, from 0.
    Statement(usize),
    /// Cedar did not say.
    Unknown,
}

impl Spot {
    /// The first place that `error` points at.
    pub(crate) fn of(error: &dyn Diagnostic) -> Self {
        error.labels().and_then(|mut labels| labels.next()).map_or(Self::Unknown, |label| Self::Byte(label.offset()))
    }
}

/// What Cedar advises.
pub(crate) fn help(error: &dyn Diagnostic) -> Option<String> {
    error.help().map(|help| help.to_string())
}

/// The policies of a text, by where they begin and end. Cedar does not tell, but each of its policies ends with the first
/// semicolon outside of texts and comments.
pub(crate) struct Statements<'a> {
    text: &'a str,
    parts: Vec<std::ops::Range<usize>>,
}

impl<'a> Statements<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let (mut parts, mut start, mut at) = (Vec::new(), None, 0);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'/' if bytes.get(at + 1) == Some(&b'/') => {
                    at =
                        bytes.iter().skip(at).position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length);
                    continue;
                }
                b'"' => {
                    start.get_or_insert(at);
                    at += 1;
                    while let Some(inside) = bytes.get(at).filter(|inside| **inside != b'"') {
                        at += if *inside == b'\\' { 2 } else { 1 };
                    }
                }
                b';' => {
                    parts.extend(start.take().map(|start| start..at));
                }
                byte if !byte.is_ascii_whitespace() => {
                    start.get_or_insert(at);
                }
                _ => {}
            }
            at += 1;
        }
        parts.extend(start.map(|start| start..bytes.len()));
        Self { text, parts }
    }

    /// Where the nth policy has this annotation; where it begins, if it has none.
    pub(crate) fn annotation(&self, statement: usize, name: &str) -> Spot {
        let found = self.parts.get(statement).and_then(|part| {
            let text = self.text.get(part.clone())?;
            let marked = format!("@{name}");
            let at = if name == "action" { text.find("action") } else { text.find(&marked) };
            at.map(|at| part.start + at)
        });
        found.map_or(Spot::Statement(statement), Spot::Byte)
    }

    /// The line of a place, from 1; 0 if it is not known.
    pub(crate) fn line(&self, spot: Spot) -> usize {
        let byte = match spot {
            Spot::Byte(byte) => Some(byte),
            Spot::Statement(number) => self.parts.get(number).map(|part| part.start),
            Spot::Unknown => None,
        };
        byte.map_or(0, |byte| 1 + self.text.bytes().take(byte).filter(|byte| *byte == b'\n').count())
    }
}
