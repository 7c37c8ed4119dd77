//! Whether the node may be sent work: named checks, each answered from memory.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

/// A check: `Err` says in a few words what is missing. It is called on every probe, so it reads
/// state and does no work.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A set of named checks. All must hold.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Check)>,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}

impl Readiness {
    /// No checks: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check. Names are lower case words such as `records`, `drain`, `crl`.
    #[must_use]
    pub fn with(mut self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.checks.push((name, Arc::new(check)));
        self
    }

    /// Whether every check holds, and the report `{"ready": bool, "checks": {name: "ok"|reason}}`.
    pub fn report(&self) -> (bool, String) {
        let mut ready = true;
        let mut checks = Map::new();
        for (name, check) in &self.checks {
            let outcome = match check() {
                Ok(()) => "ok".to_owned(),
                Err(reason) => {
                    ready = false;
                    reason
                }
            };
            checks.insert((*name).to_owned(), Value::String(outcome));
        }
        let report = json!({"ready": ready, "checks": checks});
        (ready, format!("{report}\n"))
    }
}
