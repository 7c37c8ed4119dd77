//! The story, step by step. Every step acts as one principal over mutual TLS, looks first what is there already, and
//! leaves it alone.

mod cross;
mod open;
mod prove;

use catalog::VersionState;
use gateway_api::catalog::VersionView;
use gateway_cli::client::{Call, path};
use gateway_cli::pull::PullReport;
use serde_json::{Value, json};

use super::QuickstartError;
use super::act::{ActError, Principal, Stage, command_line};
use super::corpora::{Prepared, VERSION};
use super::layout::Layout;
use super::tell::Teller;

/// What the story needs.
#[derive(Debug)]
pub struct Story<'t, 'io> {
    /// Who acts where.
    pub stage: Stage,
    /// The folder.
    pub layout: &'t Layout,
    /// The narrator.
    pub tell: &'t mut Teller<'io>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was pulled.
    pub pulled: Vec<PullReport>,
    /// The refusal, unless a mechanism on file allows everything meanwhile.
    pub refusal: Option<Refused>,
    /// Log index of the decision on the real corpus.
    pub leaf: u64,
    /// Proofs that were verified.
    pub proofs: Vec<Value>,
    /// The whole log, verified.
    pub log: Value,
    /// The consumer's month.
    pub statement: Value,
}

/// A refusal of the gateway.
#[derive(Debug, Clone)]
pub struct Refused {
    /// `denied` or `review`.
    pub code: String,
    /// Rules, reasons, remedies.
    pub explain: Value,
    /// Log index.
    pub leaf: u64,
}

impl Outcome {
    /// For the JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "pulled": self.pulled,
            "refusal": self.refusal.as_ref().map(|refused| {
                json!({ "code": refused.code, "explain": refused.explain, "leaf": refused.leaf })
            }),
            "leaf": self.leaf,
            "proofs": self.proofs,
            "log": self.log,
            "statement": self.statement,
        })
    }
}

impl Story<'_, '_> {
    /// Tells all of it, with the corpora that lie ready.
    ///
    /// # Errors
    ///
    /// [`QuickstartError::Act`] and its kind; the narrator knows at which step.
    pub async fn run(&mut self, corpora: &[Prepared]) -> Result<Outcome, QuickstartError> {
        let mut outcome = Outcome::default();
        open::participants(self).await?;
        open::register(self, corpora).await?;
        open::approve(self, corpora).await?;
        cross::search(self).await?;
        cross::real_corpus(self, &mut outcome).await?;
        cross::refusal(self, &mut outcome).await?;
        cross::redacted(self, &mut outcome).await?;
        prove::proofs(self, &mut outcome).await?;
        prove::log(self, &mut outcome).await?;
        prove::statement(self, &mut outcome).await?;
        prove::supervision(self).await?;
        self.tell.end();
        Ok(outcome)
    }

    /// Runs a command of which only the deed matters.
    async fn act(&mut self, who: Principal, words: &[&str]) -> Result<Value, ActError> {
        self.tell.command(command_line(words));
        self.stage.kouan(who, words).await
    }

    /// Runs a command and shows its answer. For programs the answer is in the step's record under `name`.
    async fn show(&mut self, who: Principal, name: &str, words: &[&str]) -> Result<(), ActError> {
        self.tell.command(command_line(words));
        if self.tell.is_for_people() {
            let lines = self.stage.lines(who, words).await?;
            self.tell.answer(&lines);
        } else {
            let value = self.stage.kouan(who, words).await?;
            self.tell.fact(name, value);
        }
        Ok(())
    }

    /// Where a corpus stands, if it is registered.
    async fn state(&self, who: Principal, id: &str) -> Result<Option<VersionState>, ActError> {
        let call = Call::get(path(["v1", "datasets", id, "versions", VERSION]));
        let view: Option<VersionView> = self.stage.find(who, &call).await?;
        Ok(view.map(|view| view.state))
    }
}
