//! What a command touches of its process: output, input, environment, Ctrl-C. Tests bring their own.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal as _, Read, Write};

use crate::interrupt::Interrupt;

/// Where environment variables come from.
pub trait Environment: Send + Sync {
    /// The value of `name`, if it is set and not empty.
    fn var(&self, name: &str) -> Option<OsString>;
}

/// The process's own environment.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name).filter(|value| !value.is_empty())
    }
}

/// A fixed environment: for tests, and for a caller that embeds commands.
impl<const N: usize> Environment for [(&'static str, String); N] {
    fn var(&self, name: &str) -> Option<OsString> {
        let (_, value) = self.iter().find(|(known, value)| *known == name && !value.is_empty())?;
        Some(value.into())
    }
}

/// The streams and the environment of a command.
pub struct Io {
    /// Answers: one JSON object with `--json`.
    pub out: Box<dyn Write + Send>,
    /// Progress and errors in words.
    pub err: Box<dyn Write + Send>,
    /// For `-`.
    pub input: Box<dyn Read + Send>,
    /// Environment variables.
    pub env: Box<dyn Environment>,
    /// Whether a person reads `out` on a terminal.
    pub out_is_terminal: bool,
    /// Whether `err` is a terminal on which a progress bar can be drawn.
    pub err_is_terminal: bool,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

impl Io {
    /// The process's own.
    pub fn process(interrupt: Interrupt) -> Self {
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            input: Box::new(io::stdin()),
            env: Box::new(ProcessEnvironment),
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            interrupt,
        }
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("err_is_terminal", &self.err_is_terminal).finish_non_exhaustive()
    }
}
