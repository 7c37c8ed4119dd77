//! Looking something up by the id in a path. What is not there and what the caller may not see are the same 404.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use gateway_api::{Code, Problem};

use crate::snapshot::Doc;

/// The document under `id` and its revision, if `visible` says that the caller may see it.
///
/// # Errors
/// 404: there is no such `noun` for the caller.
pub fn found<K: FromStr + Ord, T: Clone>(
    table: &BTreeMap<K, Arc<Doc<T>>>,
    noun: &str,
    id: &str,
    visible: impl Fn(&T) -> bool,
) -> Result<(u64, T), Problem> {
    let doc = id.parse().ok().and_then(|id| table.get(&id)).filter(|doc| visible(&doc.body));
    doc.map(|doc| (doc.revision, doc.body.clone())).ok_or_else(|| {
        let shown: String = id.chars().take(64).collect();
        Problem::new(Code::NotFound, format!("there is no {noun} `{shown}` for you"))
    })
}
