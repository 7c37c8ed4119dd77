//! JSON Lines: one object a line. One pass to learn the columns, one to write.
//!
//! A missing member is null like one that says so; anything else that does not fit what came before is an error with
//! its line. Whole numbers beyond 64 bits signed become text as a column; beyond 64 bits unsigned they are an error.

mod array;
mod node;

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};

use self::node::{Kind, Node};
use super::sink::{BATCH_BYTES, BATCH_ROWS, Sink};
use super::{BOM, ConvertError, utf8};
use crate::layout::Limits;

/// The lines of a file that are not blank: number, offset, bytes.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
    line_bytes_max: usize,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        let at = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
        Self { bytes, at, line: 0, line_bytes_max: limits.line_bytes }
    }

    /// The next line as a JSON object, with its number and length.
    fn next(&mut self) -> Result<Option<(u64, usize, Node)>, ConvertError> {
        while let Some(rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            self.line += 1;
            let window = rest.get(..=self.line_bytes_max).unwrap_or(rest);
            let length = window.iter().position(|byte| *byte == b'\n').unwrap_or(window.len());
            if length > self.line_bytes_max {
                let what = format!("the line is longer than {} bytes", self.line_bytes_max);
                return Err(ConvertError::text(self.line, what));
            }
            let offset = self.at;
            self.at += length + 1;
            let text = utf8(rest.get(..length).unwrap_or_default(), offset, self.line)?.trim();
            if text.is_empty() {
                continue;
            }
            let node: Node = serde_json::from_str(text).map_err(|error| {
                // serde_json counts lines within this one.
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                ConvertError::text(
                    self.line,
                    format!("{message} at column {}: write one JSON object a line", error.column()),
                )
            })?;
            if !matches!(node, Node::Object(_)) {
                let what = format!("{} stands where an object should: write one JSON object a line", node.name());
                return Err(ConvertError::text(self.line, what));
            }
            return Ok(Some((self.line, length, node)));
        }
        Ok(None)
    }
}

pub(super) fn convert<W: Write + Send>(bytes: &[u8], limits: &Limits, out: W) -> Result<u64, ConvertError> {
    let kinds = learn(bytes, limits)?;
    let fields: Vec<Field> = kinds
        .iter()
        .map(|(name, kind)| Ok(Field::new(name, kind.data_type(name)?, true)))
        .collect::<Result<_, ConvertError>>()?;
    let schema = Arc::new(Schema::new(fields));
    let mut sink = Sink::new(Arc::clone(&schema), out)?;
    let mut lines = Lines::new(bytes, limits);
    let mut rows: Vec<Node> = Vec::new();
    let mut held = 0;
    while let Some((_, length, node)) = lines.next()? {
        rows.push(node);
        held += length;
        if rows.len() == BATCH_ROWS || held >= BATCH_BYTES {
            flush(&mut sink, &schema, &kinds, &rows)?;
            rows.clear();
            held = 0;
        }
    }
    if !rows.is_empty() {
        flush(&mut sink, &schema, &kinds, &rows)?;
    }
    sink.finish()
}

fn flush<W: Write + Send>(
    sink: &mut Sink<W>,
    schema: &Arc<Schema>,
    kinds: &[(String, Kind)],
    rows: &[Node],
) -> Result<(), ConvertError> {
    let rows: Vec<Option<&Node>> = rows.iter().map(Some).collect();
    let arrays = array::members(kinds, schema.fields(), &rows)?;
    sink.write(&RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

fn learn(bytes: &[u8], limits: &Limits) -> Result<Vec<(String, Kind)>, ConvertError> {
    let mut lines = Lines::new(bytes, limits);
    let mut whole = Kind::Unknown;
    while let Some((line, _, node)) = lines.next()? {
        whole.join(&node, "", 0).map_err(|what| ConvertError::text(line, what))?;
        if whole.leaves() > limits.columns {
            let what = format!("more than {} columns so far", limits.columns);
            return Err(ConvertError::text(line, what));
        }
    }
    match whole {
        Kind::Object(members) if !members.is_empty() => Ok(members),
        _ => Err(ConvertError::Empty),
    }
}
