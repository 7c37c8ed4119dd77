//! Where recorded decisions come from: a gateway, for an officer of an authority, or an exported log in a folder.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use gateway_api::statement::StatementSet;
use gateway_audit::leaf::facts_path;
use gateway_audit::tiles::{TileLevel, TilePath, bundle_entries};
use gateway_audit::{Leaf, LogFiles, SignedCheckpoint};
use http::StatusCode;
use jiff::Timestamp;
use policy::Recorded;
use serde_json::Value;

use super::{is_of, recorded};
use crate::client::{Call, Client, path, with_query};
use crate::commands::log_files::LogFolder;
use crate::commands::rest::{self, get, items};
use crate::error::CommandError;
use crate::output::plain;

/// Entries of a full bundle (C2SP tlog-tiles).
const TILE_WIDTH: u64 = 256;
/// Largest text: facts, or the texts of a law.
const TEXT_BYTES_MAX: usize = 16 << 20;
/// Texts that are kept: rule sets are asked for by every decision, facts often by several.
const TEXTS_KEPT_MAX: usize = 4_096;

/// One recorded decision.
pub(super) struct Decision {
    pub index: u64,
    pub at: String,
    pub participant: String,
    pub provider: String,
    pub dataset: String,
    pub version: String,
    pub agreement: Option<String>,
    pub lease: Option<String>,
    pub rules: Value,
    pub recorded: Recorded,
    pub policy: String,
    pub facts: String,
}

/// Where the records are.
pub(super) struct Source<'a> {
    from: From<'a>,
    texts: HashMap<String, String>,
    /// Bytes of units that closed leases delivered.
    closed: HashMap<String, u64>,
}

enum From<'a> {
    Gateway(&'a Client),
    Folder(PathBuf),
}

impl<'a> Source<'a> {
    pub(super) fn open(dir: Option<&Path>, client: Option<&'a Client>) -> Result<Self, CommandError> {
        let from = match (dir, client) {
            (Some(dir), _) => {
                if !dir.join("checkpoint").is_file() {
                    return Err(CommandError::NotFound(format!(
                        "`{}` holds no `checkpoint`: name an export (kouan audit export) or DIR/data/log of a node",
                        dir.display()
                    )));
                }
                From::Folder(dir.to_owned())
            }
            (None, Some(client)) => From::Gateway(client),
            (None, None) => return Err(CommandError::Usage("name a gateway or `--log DIR`".to_owned())),
        };
        Ok(Self { from, texts: HashMap::new(), closed: HashMap::new() })
    }

    /// One rule set of the gateway.
    pub(super) async fn ruleset(&self, id: &str) -> Result<Value, CommandError> {
        match &self.from {
            From::Gateway(client) => get(client, &["v1", "rulesets", id]).await,
            From::Folder(_) => {
                Err(CommandError::Usage(format!("`{id}` is a set of a gateway: with `--log` give the rules as files")))
            }
        }
    }

    /// Every decision since then, oldest first.
    pub(super) async fn decisions(&mut self, since: Option<Timestamp>) -> Result<Vec<Decision>, CommandError> {
        let mut found = Vec::new();
        match &self.from {
            From::Gateway(client) => {
                let from = since.map(|since| since.to_string());
                for kind in ["decision", "lease_close"] {
                    let target = |cursor: Option<&str>| {
                        let query = [
                            ("kind", Some(kind)),
                            ("from", from.as_deref()),
                            ("limit", Some("500")),
                            ("cursor", cursor),
                        ];
                        with_query("/v1/audit", query)
                    };
                    let value = rest::pages(client, target, "entries", usize::MAX).await?;
                    for entry in items(&value, "entries") {
                        let index = entry.get("index").and_then(Value::as_u64).unwrap_or(0);
                        take(&mut self.closed, &mut found, index, entry.get("leaf").unwrap_or(&Value::Null))?;
                    }
                }
            }
            From::Folder(dir) => {
                for (index, leaf) in leaves(dir)? {
                    if since.is_none_or(|since| since <= leaf.at()) {
                        take(&mut self.closed, &mut found, index, &Value::Object(leaf.members().clone()))?;
                    }
                }
            }
        }
        Ok(found)
    }

    /// The text that `digest` names; `Err` inside if it is not there, or another.
    pub(super) async fn text(&mut self, digest: &str) -> Result<Result<String, String>, CommandError> {
        if let Some(text) = self.texts.get(digest) {
            return Ok(Ok(text.clone()));
        }
        let Some(name) = facts_path(digest) else { return Ok(Err(format!("`{digest}` is no digest"))) };
        let bytes = match &self.from {
            From::Gateway(client) => {
                let answer = client.send(&Call::get(format!("/log/{name}"))).await?;
                match answer.status {
                    StatusCode::NOT_FOUND => None,
                    status if status.is_success() => Some(answer.bytes(TEXT_BYTES_MAX).await?),
                    _ => return Err(answer.into_error().await),
                }
            }
            From::Folder(dir) => LogFolder::new(dir).read(&name).map_err(CommandError::io(dir, "read"))?,
        };
        let Some(bytes) = bytes else { return Ok(Err(format!("`{name}` is not there"))) };
        if !is_of(digest, &bytes) {
            return Ok(Err(format!("`{name}` is not what its name says: it was altered")));
        }
        let Ok(text) = String::from_utf8(bytes) else { return Ok(Err(format!("`{name}` is not UTF-8"))) };
        if self.texts.len() >= TEXTS_KEPT_MAX {
            self.texts.clear();
        }
        self.texts.insert(digest.to_owned(), text.clone());
        Ok(Ok(text))
    }

    /// Bytes of units that a lease delivered; not known of one that is open, from a log alone.
    pub(super) async fn delivered(&self, lease: &str) -> Result<Option<u64>, CommandError> {
        if let Some(bytes) = self.closed.get(lease) {
            return Ok(Some(*bytes));
        }
        let From::Gateway(client) = &self.from else { return Ok(None) };
        let answer = client.send(&Call::get(path(["v1", "leases", lease]))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(answer.into_error().await);
        }
        let bytes = answer.bytes(TEXT_BYTES_MAX).await?;
        let lease: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(number(lease.get("unit_bytes")))
    }

    /// What `participant` was billed for these entitlements (agreement, dataset, version) in the months since then.
    pub(super) async fn billed(
        &self,
        participant: &str,
        entitlements: &[[String; 3]],
        since: Option<Timestamp>,
    ) -> Result<BTreeMap<String, u128>, CommandError> {
        let mut billed = BTreeMap::new();
        // Amounts are the gateway's to say: the log holds no statement yet.
        let From::Gateway(client) = &self.from else { return Ok(billed) };
        for period in months(since, Timestamp::now()) {
            let query = [("participant", Some(participant)), ("period", Some(period.as_str()))];
            let set: StatementSet = client.typed(&Call::get(with_query("/v1/statements", query))).await?;
            for statement in set.statements {
                for line in statement.lines {
                    let key = [line.agreement.to_string(), line.dataset.to_string(), line.version.to_string()];
                    if line.consumer.as_str() == participant && entitlements.contains(&key) {
                        let sum: &mut u128 = billed.entry(statement.currency.as_str().to_owned()).or_default();
                        *sum = sum.saturating_add(line.amount.parse().unwrap_or(0));
                    }
                }
            }
        }
        Ok(billed)
    }
}

/// Months in Asia/Shanghai from `since` on, at most two years of them.
fn months(since: Option<Timestamp>, now: Timestamp) -> BTreeSet<String> {
    const MONTHS_MAX: i32 = 24;
    // UTC+8 all year since 1991.
    let month = |at: Timestamp| {
        let date = at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date();
        i32::from(date.year()) * 12 + i32::from(date.month()) - 1
    };
    let last = month(now);
    let first = since.map_or(last - MONTHS_MAX + 1, month).max(last - MONTHS_MAX + 1);
    (first..=last).map(|month| format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)).collect()
}

fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

fn take(
    closed: &mut HashMap<String, u64>,
    found: &mut Vec<Decision>,
    index: u64,
    leaf: &Value,
) -> Result<(), CommandError> {
    let text = |member: &str| leaf.get(member).and_then(Value::as_str).map(str::to_owned);
    match leaf.get("kind").and_then(Value::as_str) {
        Some("lease_close") => {
            if let (Some(lease), Some(bytes)) = (text("lease"), number(leaf.get("unit_bytes"))) {
                closed.insert(lease, bytes);
            }
        }
        Some("decision") => {
            let (Some(recorded), Some(policy), Some(facts)) = (recorded(leaf), text("policy"), text("facts")) else {
                return Err(CommandError::Integrity(format!("entry {index} is no decision that can be replayed")));
            };
            found.push(Decision {
                index,
                at: text("at").unwrap_or_default(),
                participant: text("participant").unwrap_or_default(),
                provider: text("provider").unwrap_or_default(),
                dataset: text("dataset").unwrap_or_default(),
                version: leaf.get("version").map(plain).unwrap_or_default(),
                agreement: text("agreement"),
                lease: text("lease"),
                rules: leaf.get("rules").cloned().unwrap_or_default(),
                recorded,
                policy,
                facts,
            });
        }
        _ => {}
    }
    Ok(())
}

/// Every leaf of a log in a folder, oldest first. Whether the log holds is for `kouan audit verify`.
fn leaves(dir: &Path) -> Result<Vec<(u64, Leaf)>, CommandError> {
    let files = LogFolder::new(dir);
    let read = |path: &str| files.read(path).map_err(CommandError::io(&dir.join(path), "read"));
    let broken = |what: String| CommandError::Integrity(what);
    let note = read("checkpoint")?.unwrap_or_default();
    let head = SignedCheckpoint::parse(&note).map_err(|error| broken(format!("the checkpoint: {error}")))?;
    let size = head.checkpoint().size;
    let mut found = Vec::new();
    for number in 0..size.div_ceil(TILE_WIDTH) {
        let Some(tile) = TilePath::in_tree(TileLevel::Entries, number, size) else { continue };
        let full = tile.as_full();
        let (tile, bytes) = match read(&tile.to_string())? {
            Some(bytes) => (tile, bytes),
            // A partial bundle may have grown full since the checkpoint.
            None => match read(&full.to_string())? {
                Some(bytes) => (full, bytes),
                None => return Err(broken(format!("`{tile}` is missing"))),
            },
        };
        let entries = bundle_entries(&tile, &bytes).map_err(|error| broken(format!("`{tile}`: {error}")))?;
        for (index, entry) in (number * TILE_WIDTH..size).zip(entries) {
            let leaf = Leaf::parse(entry).map_err(|error| broken(format!("entry {index}: {error}")))?;
            found.push((index, leaf));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn months_are_shanghais() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let of = |since: Option<&str>, now: &str| months(since.map(at), at(now)).into_iter().collect::<Vec<_>>();
        assert_eq!(of(Some("2026-10-31T15:00:00Z"), "2026-11-22T10:00:00Z"), ["2026-10", "2026-11"]);
        assert_eq!(of(Some("2026-10-31T16:00:00Z"), "2026-11-22T10:00:00Z"), ["2026-11"]);
        assert_eq!(of(Some("2026-12-01T00:00:00Z"), "2027-01-01T00:00:00Z"), ["2026-12", "2027-01"]);
        assert_eq!(of(None, "2026-11-22T10:00:00Z").len(), 24);
    }

    #[test]
    fn a_folder_without_a_checkpoint_is_no_log() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Source::open(Some(dir.path()), None), Err(CommandError::NotFound(_))));
        assert!(matches!(Source::open(None, None), Err(CommandError::Usage(_))));
    }

    #[test]
    fn a_decision_that_names_no_facts_is_an_error() {
        let (mut closed, mut found) = (HashMap::new(), Vec::new());
        let leaf = serde_json::json!({"kind": "decision", "effect": "allow", "needed": "none", "rules": ["GEN"]});
        assert!(matches!(take(&mut closed, &mut found, 3, &leaf), Err(CommandError::Integrity(_))));
        let close = serde_json::json!({"kind": "lease_close", "lease": "l-1", "unit_bytes": "12"});
        take(&mut closed, &mut found, 4, &close).unwrap();
        assert_eq!(closed.get("l-1"), Some(&12));
        take(&mut closed, &mut found, 5, &serde_json::json!({"kind": "of_a_later_release"})).unwrap();
        assert!(found.is_empty());
    }
}
