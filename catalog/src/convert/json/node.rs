//! One JSON value as it was written (order of members kept, duplicates refused), and what a column's values have in common.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::super::ConvertError;

/// Deepest nesting of a column.
const DEPTH_MAX: usize = 16;
/// Largest whole number that an f64 keeps.
const EXACT_MAX: u64 = 1 << 53;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Beyond `i64`.
    Large(u64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Large(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The member `name` of an object; `hint` is where it stood in the objects before.
    pub(super) fn member(&self, name: &str, hint: usize) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let hinted = members.get(hint).filter(|(key, _)| key == name);
        hinted.or_else(|| members.iter().find(|(key, _)| key == name)).map(|(_, node)| node)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Large(value), Node::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        // A whole number too long for 64 bits arrives here as well, with its last digits gone.
        if value.abs() >= 9.2e18 && value.abs() < 1e40 {
            return Err(E::custom("a number beyond 64 bits would lose digits; write it as a string,"));
        }
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut members: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((key, value)) = entries.next_entry::<String, Node>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!(
                    "the member `{}` stands twice",
                    key.chars().take(80).collect::<String>()
                )));
            }
            members.push((key, value));
        }
        Ok(Node::Object(members))
    }
}

/// What the values of a column have in common so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Only null so far.
    Unknown,
    Boolean,
    /// `wide`: some value that a float would not keep.
    Integer {
        wide: bool,
    },
    /// Whole numbers of which some are beyond `i64`: kept as text.
    Large,
    Float,
    Text,
    List(Box<Kind>),
    Object(Vec<(String, Kind)>),
}

impl Kind {
    const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "null",
            Self::Boolean => "booleans",
            Self::Integer { .. } | Self::Large => "whole numbers",
            Self::Float => "numbers",
            Self::Text => "strings",
            Self::List(_) => "lists",
            Self::Object(_) => "objects",
        }
    }

    /// Leaf columns of this kind.
    pub(super) fn leaves(&self) -> usize {
        match self {
            Self::List(inner) => inner.leaves(),
            Self::Object(members) => members.iter().map(|(_, kind)| kind.leaves()).sum(),
            _ => 1,
        }
    }

    /// Takes `node` in; the error says why it does not fit.
    pub(super) fn join(&mut self, node: &Node, path: &str, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("`{path}` is nested deeper than {DEPTH_MAX}"));
        }
        if *self == Self::Unknown {
            *self = match node {
                Node::Null => return Ok(()),
                Node::Boolean(_) => Self::Boolean,
                Node::Integer(_) => Self::Integer { wide: false },
                Node::Large(_) => Self::Large,
                Node::Float(_) => Self::Float,
                Node::Text(_) => Self::Text,
                Node::List(_) => Self::List(Box::new(Self::Unknown)),
                Node::Object(_) => Self::Object(Vec::new()),
            };
        }
        match (&mut *self, node) {
            (_, Node::Null)
            | (Self::Boolean, Node::Boolean(_))
            | (Self::Text, Node::Text(_))
            | (Self::Float, Node::Float(_))
            | (Self::Large, Node::Integer(_) | Node::Large(_)) => {}
            (Self::Integer { wide }, Node::Integer(value)) => {
                *wide |= value.unsigned_abs() > EXACT_MAX;
            }
            (Self::Integer { .. }, Node::Large(_)) => *self = Self::Large,
            (Self::Float, Node::Integer(value)) if value.unsigned_abs() <= EXACT_MAX => {}
            (Self::Integer { wide: false }, Node::Float(_)) => *self = Self::Float,
            (Self::List(inner), Node::List(items)) => {
                for item in items {
                    inner.join(item, path, depth + 1)?;
                }
            }
            (Self::Object(members), Node::Object(found)) => {
                join_members(members, found, path, depth)?;
            }
            (kind, node) => {
                let path = if path.is_empty() { "the line" } else { path };
                return Err(format!(
                    "`{path}` is {}, but was {} before: write one type for a column",
                    node.name(),
                    kind.name()
                ));
            }
        }
        Ok(())
    }

    /// The Arrow type.
    pub(super) fn data_type(&self, path: &str) -> Result<DataType, ConvertError> {
        Ok(match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer { .. } => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Unknown | Self::Large | Self::Text => DataType::Utf8,
            Self::List(inner) => DataType::List(Arc::new(Field::new_list_field(inner.data_type(path)?, true))),
            Self::Object(members) if members.is_empty() => {
                return Err(ConvertError::Columns(format!("`{path}` is always an empty object: leave it out")));
            }
            Self::Object(members) => {
                let fields = members.iter().map(|(name, kind)| {
                    Ok::<_, ConvertError>(Field::new(name, kind.data_type(&format!("{path}.{name}"))?, true))
                });
                DataType::Struct(fields.collect::<Result<Vec<_>, _>>()?.into())
            }
        })
    }
}

fn join_members(
    members: &mut Vec<(String, Kind)>,
    found: &[(String, Node)],
    path: &str,
    depth: usize,
) -> Result<(), String> {
    for (number, (name, node)) in found.iter().enumerate() {
        if name.is_empty() || name.len() > 1024 {
            return Err(format!("a member of `{path}` has an empty or very long name"));
        }
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let hinted = members.get(number).is_some_and(|(key, _)| key == name).then_some(number);
        let place = hinted.or_else(|| members.iter().position(|(key, _)| key == name));
        let place = place.unwrap_or_else(|| {
            members.push((name.clone(), Kind::Unknown));
            members.len() - 1
        });
        if let Some((_, kind)) = members.get_mut(place) {
            kind.join(node, &below, depth + 1)?;
        }
    }
    Ok(())
}
