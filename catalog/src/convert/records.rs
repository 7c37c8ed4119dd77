//! Splits CSV (RFC 4180) into records without copying, and knows for each field where it stood and whether it was quoted.

use std::borrow::Cow;

use super::ConvertError;

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) quoted: bool,
    /// Where its first byte stands in the file.
    pub(super) offset: usize,
}

/// A walk over the records.
#[derive(Debug, Clone)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The line in which the next record begins.
    line: u64,
    delimiter: u8,
    record_bytes_max: usize,
}

impl<'a> Records<'a> {
    /// From byte `at`, line 1.
    pub(super) const fn new(bytes: &'a [u8], at: usize, delimiter: u8, record_bytes_max: usize) -> Self {
        Self { bytes, at, line: 1, delimiter, record_bytes_max }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Reads the next record into `fields` and answers its line; `None` at the end.
    pub(super) fn next(&mut self, fields: &mut Vec<Field<'a>>) -> Result<Option<u64>, ConvertError> {
        fields.clear();
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let (line, start) = (self.line, self.at);
        loop {
            fields.push(self.field(start, line)?);
            match self.peek() {
                Some(byte) if byte == self.delimiter => self.at += 1,
                Some(b'\r') => {
                    // A carriage return is left here only as part of a line end.
                    self.at += 2;
                    break;
                }
                Some(_) => {
                    self.at += 1;
                    break;
                }
                None => break,
            }
        }
        self.line += 1;
        Ok(Some(line))
    }

    fn field(&mut self, record: usize, line: u64) -> Result<Field<'a>, ConvertError> {
        if self.peek() == Some(b'"') {
            return self.quoted(record, line);
        }
        let offset = self.at;
        let window = self.window(record);
        let ends = |(number, byte): (usize, &u8)| {
            *byte == self.delimiter || *byte == b'\n' || (*byte == b'\r' && window.get(number + 1) == Some(&b'\n'))
        };
        let length = window.iter().enumerate().position(ends);
        let length = length.unwrap_or(window.len());
        self.check(offset + length, record, line)?;
        self.at = offset + length;
        let bytes = window.get(..length).unwrap_or_default();
        Ok(Field { bytes: Cow::Borrowed(bytes), quoted: false, offset })
    }

    /// The bytes that may still belong to the record, and one more.
    fn window(&self, record: usize) -> &'a [u8] {
        let end = record.saturating_add(self.record_bytes_max).saturating_add(2).min(self.bytes.len());
        self.bytes.get(self.at..end).unwrap_or_default()
    }

    fn check(&self, end: usize, record: usize, line: u64) -> Result<(), ConvertError> {
        if end - record > self.record_bytes_max {
            let what = format!("the record is longer than {} bytes: is a quote never closed?", self.record_bytes_max);
            return Err(ConvertError::text(line, what));
        }
        Ok(())
    }

    fn quoted(&mut self, record: usize, line: u64) -> Result<Field<'a>, ConvertError> {
        self.at += 1;
        let offset = self.at;
        let mut copied: Option<Vec<u8>> = None;
        let mut from = offset;
        loop {
            let window = self.window(record);
            let Some(length) = window.iter().position(|byte| *byte == b'"') else {
                self.check(self.at + window.len(), record, line)?;
                return Err(ConvertError::text(line, "a quote is never closed"));
            };
            let quote = self.at + length;
            self.check(quote, record, line)?;
            let newlines = window.iter().take(length).filter(|byte| **byte == b'\n').count();
            self.line += newlines as u64;
            let part = self.bytes.get(from..quote).unwrap_or_default();
            self.at = quote + 1;
            if self.peek() == Some(b'"') {
                // A doubled quote stands for one.
                let copied = copied.get_or_insert_default();
                copied.extend_from_slice(part);
                copied.push(b'"');
                self.at += 1;
                from = self.at;
                continue;
            }
            let ended = match self.peek() {
                None | Some(b'\n') => true,
                Some(b'\r') => self.bytes.get(self.at + 1) == Some(&b'\n'),
                Some(byte) => byte == self.delimiter,
            };
            if !ended {
                return Err(ConvertError::text(
                    self.line,
                    "text follows a closing quote: double the quotes inside a field",
                ));
            }
            let bytes = match copied {
                Some(mut copied) => {
                    copied.extend_from_slice(part);
                    Cow::Owned(copied)
                }
                None => Cow::Borrowed(part),
            };
            return Ok(Field { bytes, quoted: true, offset });
        }
    }
}
