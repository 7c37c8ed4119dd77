//! Reads one table of a manifest key by key, and at the end refuses the keys that nobody asked for.

use std::cell::RefCell;
use std::ops::Range;

use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use super::{LANGUAGES, Localised};

/// Longest string in a manifest, in bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Longest list in a manifest.
const LIST_MAX: usize = 1000;
/// 2^53 - 1: the largest integer that every JSON reader keeps (POLICY.md, "Input").
const COUNT_MAX: u64 = (1 << 53) - 1;

/// A value and where it stands.
pub(super) type Value<'a> = &'a Spanned<DeValue<'a>>;

/// One table.
pub(super) struct Section<'a, 'f> {
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
    faults: &'f RefCell<Faults<'a>>,
}

impl<'a, 'f> Section<'a, 'f> {
    pub(super) const fn new(
        path: String,
        span: Range<usize>,
        table: &'a DeTable<'a>,
        faults: &'f RefCell<Faults<'a>>,
    ) -> Self {
        Self { path, span, table, known: Vec::new(), faults }
    }

    /// `key` as a dotted path from the top.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) const fn table(&self) -> &'a DeTable<'a> {
        self.table
    }

    pub(super) const fn faults(&self) -> &'f RefCell<Faults<'a>> {
        self.faults
    }

    /// Reports a problem with `key`, at its value if it is there, else at the table.
    pub(super) fn fault(&self, key: &str, message: impl Into<String>, fix: impl Into<String>) {
        let span = self.table.get(key).map_or_else(|| self.span.clone(), Spanned::span);
        self.faults.borrow_mut().add(&span, &self.path(key), message, fix);
    }

    /// The value of `key`, which is from now on a known key.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Like [`Self::value`], but its absence is a problem with `fix` as the way out.
    fn required(&mut self, key: &'static str, fix: &str) -> Option<Value<'a>> {
        let value = self.value(key);
        if value.is_none() {
            self.fault(key, "is missing", fix);
        }
        value
    }

    fn wrong_type(&self, key: &str, value: Value<'a>, fix: &str) {
        self.fault(key, format!("is a {}", value.get_ref().type_str()), fix);
    }

    /// A string of 1 to [`TEXT_BYTES_MAX`] bytes, parsed by `parse`; its error is the message.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        fix: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.required(key, fix)?;
        self.parse_value(key, value, fix, parse)
    }

    /// [`Self::parsed`] of a key that may be absent.
    pub(super) fn optional<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        fix: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.value(key)?;
        self.parse_value(key, value, fix, parse)
    }

    fn parse_value<T, E: std::fmt::Display>(
        &self,
        key: &str,
        value: Value<'a>,
        fix: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(key, value, fix);
            return None;
        };
        if text.len() > TEXT_BYTES_MAX {
            self.fault(key, format!("is {} bytes long", text.len()), format!("write at most {TEXT_BYTES_MAX} bytes"));
            return None;
        }
        parse(text).map_err(|error| self.fault(key, error.to_string(), fix)).ok()
    }

    /// A list of strings, each parsed by `parse`. Absent: a problem if `required`, else an empty list.
    pub(super) fn list<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        required: bool,
        fix: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let value = if required {
            self.required(key, fix)?
        } else {
            match self.value(key) {
                Some(value) => value,
                None => return Some(Vec::new()),
            }
        };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, value, fix);
            return None;
        };
        if items.len() > LIST_MAX {
            self.fault(key, format!("has {} items", items.len()), format!("write at most {LIST_MAX}"));
            return None;
        }
        let mut seen = Vec::with_capacity(items.len());
        let mut list = Vec::with_capacity(items.len());
        let mut whole = true;
        for item in items {
            let parsed = match item.get_ref().as_str() {
                None => Err(format!("holds a {}", item.get_ref().type_str())),
                Some(text) if text.len() > TEXT_BYTES_MAX => Err("holds an item that is too long".to_owned()),
                Some(text) if seen.contains(&text) => Err(format!("names `{text}` twice")),
                Some(text) => {
                    seen.push(text);
                    parse(text).map_err(|error| error.to_string())
                }
            };
            match parsed {
                Ok(parsed) => list.push(parsed),
                Err(message) => {
                    whole = false;
                    self.faults.borrow_mut().add(&item.span(), &self.path(key), message, fix);
                }
            }
        }
        whole.then_some(list)
    }

    /// `true` or `false`; absent: a problem if `required`, else `false`.
    pub(super) fn flag(&mut self, key: &'static str, required: bool) -> Option<bool> {
        let fix = "write true or false without quotes";
        let value = if required {
            self.required(key, fix)?
        } else {
            match self.value(key) {
                Some(value) => value,
                None => return Some(false),
            }
        };
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, value, fix);
        }
        flag
    }

    /// An integer from 0 to `max`, at most 2^53 - 1; `None` when absent or wrong.
    pub(super) fn count(&mut self, key: &'static str, required: bool, max: u64) -> Option<u64> {
        let max = max.min(COUNT_MAX);
        let fix = format!("write a whole number from 0 to {max} without quotes");
        let value = if required { self.required(key, &fix)? } else { self.value(key)? };
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(key, value, &fix);
            return None;
        };
        let count = u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|count| *count <= max);
        if count.is_none() {
            self.fault(key, format!("is {}", clipped(integer.as_str())), fix);
        }
        count
    }

    /// A day, as a string or as a TOML date.
    pub(super) fn date(&mut self, key: &'static str) -> Option<Date> {
        let fix = "write a day as \"2024-01-31\"";
        let value = self.value(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(datetime) => datetime.to_string(),
            _ => {
                self.wrong_type(key, value, fix);
                return None;
            }
        };
        let date = (text.len() == 10).then(|| text.parse().ok()).flatten();
        if date.is_none() {
            self.fault(key, format!("is `{}`", clipped(&text)), fix);
        }
        date
    }

    /// Text by language; absent: a problem if `required`, else empty.
    pub(super) fn localised(&mut self, key: &'static str, required: bool) -> Option<Localised> {
        let fix = "write { en = \"…\", zh-Hant = \"…\", zh-Hans = \"…\" } with at least one of them";
        let value = if required {
            self.required(key, fix)?
        } else {
            match self.value(key) {
                Some(value) => value,
                None => return Some(Localised::new()),
            }
        };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(key, value, fix);
            return None;
        };
        let mut by_language = Localised::new();
        let path = self.path(key);
        for (language, text) in table {
            let name = language.get_ref().as_ref();
            let at = format!("{path}.{name}");
            if !LANGUAGES.contains(&name) {
                self.faults.borrow_mut().add(&language.span(), &at, "is not a language of this catalog", fix);
            } else if let Some(text) =
                text.get_ref().as_str().filter(|t| !t.trim().is_empty() && t.len() <= TEXT_BYTES_MAX)
            {
                by_language.insert(name.to_owned(), text.to_owned());
            } else {
                let fix = format!("write a string of 1 to {TEXT_BYTES_MAX} bytes");
                self.faults.borrow_mut().add(&text.span(), &at, "is not a text", fix);
            }
        }
        if required && table.is_empty() {
            self.fault(key, "is empty", fix);
        }
        Some(by_language)
    }

    /// A table under `key`; absent: a problem if `required`.
    pub(super) fn section(&mut self, key: &'static str, required: bool, fix: &str) -> Option<Section<'a, 'f>> {
        let value = if required { self.required(key, fix)? } else { self.value(key)? };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(key, value, fix);
            return None;
        };
        Some(Section::new(self.path(key), value.span(), table, self.faults))
    }

    /// The tables of an array under `key`, at most `max`; absent: none.
    pub(super) fn sections(&mut self, key: &'static str, max: usize, fix: &str) -> Option<Vec<Section<'a, 'f>>> {
        let Some(value) = self.value(key) else { return Some(Vec::new()) };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, value, fix);
            return None;
        };
        if items.len() > max {
            self.fault(key, format!("has {} items", items.len()), format!("write at most {max}"));
            return None;
        }
        let mut sections = Vec::with_capacity(items.len());
        for item in items {
            let Some(table) = item.get_ref().as_table() else {
                self.wrong_type(key, item, fix);
                return None;
            };
            sections.push(Section::new(self.path(key), item.span(), table, self.faults));
        }
        Some(sections)
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let fix = nearest(name, &self.known).map_or_else(
                || format!("the keys here are {}", self.known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.faults.borrow_mut().add(&key.span(), &self.path(name), "is not a known key", fix);
        }
    }
}

/// A value as it may be quoted in a message.
pub(super) fn clipped(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The known key that a mistyped one probably meant.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let best = known.iter().map(|key| (distance(name, key), *key)).min()?;
    (best.0 <= 1 + best.1.len() / 4).then_some(best.1)
}

/// Levenshtein distance, of names that are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().take(64).enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut last = i + 1;
        next.push(last);
        for (right, above) in b.iter().zip(row.windows(2)) {
            let &[diagonal, up] = above else { break };
            last = (diagonal + usize::from(left != *right)).min(up + 1).min(last + 1);
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
