//! One running command: its streams, whether it answers in JSON, and its language.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::Value;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::io::Io;
use crate::lang::Lang;

/// What a command function works with.
#[derive(Debug)]
pub struct Session<'a> {
    /// Streams and environment.
    pub io: &'a mut Io,
    /// One JSON object on standard output.
    pub json: bool,
    /// Language of decisions.
    pub lang: Lang,
}

/// Text of an answer for people.
pub type Lines = Vec<String>;

impl Session<'_> {
    /// Prints the answer: `value` with `--json`, else `lines`.
    ///
    /// # Errors
    ///
    /// [`CommandError::LocalIo`] if standard output takes no more; a reader that went away (`| head`) is no error.
    pub fn answer(&mut self, value: &Value, lines: impl FnOnce() -> Lines) -> Result<(), CommandError> {
        if self.json {
            return self.print(&format!("{value}\n"));
        }
        let mut text = lines().join("\n");
        text.push('\n');
        self.print(&text)
    }

    /// Prints text to standard output as it is.
    pub fn print(&mut self, text: &str) -> Result<(), CommandError> {
        self.print_bytes(text.as_bytes())
    }

    /// Prints bytes to standard output as they are.
    pub fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let written = self.io.out.write_all(bytes).and_then(|()| self.io.out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(CommandError::io(Path::new("standard output"), "write")),
        }
    }

    /// Says something on standard error; silent with `--json`. Nobody depends on it, so that a closed stream is no
    /// error.
    pub fn note(&mut self, text: &str) {
        if !self.json {
            let _ = writeln!(self.io.err, "{text}");
        }
    }

    /// Prints why the command failed, in JSON or in words, and gives the exit status.
    pub fn fail(&mut self, error: &CommandError) -> Exit {
        if self.json {
            let _ = writeln!(self.io.out, "{}", error.to_json());
            let _ = self.io.out.flush();
        } else {
            let mut text = format!("error: {error}");
            // A decision of a plan is already told in words; a refusal of the gateway is told here.
            if let Some(refusal) = error.refusal() {
                if let Some(explain) = &refusal.explain {
                    for line in crate::output::decision::explanation(explain, self.lang) {
                        text.push('\n');
                        text.push_str(&line);
                    }
                }
                if let Some(leaf) = refusal.leaf {
                    let _ = write!(text, "\n  recorded as entry {leaf}: kouan audit show {leaf}");
                }
            }
            let _ = writeln!(self.io.err, "{text}");
        }
        error.exit()
    }
}
