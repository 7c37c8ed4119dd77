//! The narrator: numbered steps for people on standard output, or a record of them for one JSON object at the end.

use std::io::Write as _;
use std::time::{Duration, Instant};

use gateway_cli::Io;
use serde_json::{Map, Value, json};

use super::act::Principal;

/// Tells what happens.
#[derive(Debug)]
pub struct Teller<'a> {
    io: &'a mut Io,
    json: bool,
    begun: Instant,
    open: Option<Step>,
    steps: Vec<Value>,
}

#[derive(Debug)]
struct Step {
    who: Option<Principal>,
    title: String,
    begun: Instant,
    commands: Vec<String>,
    facts: Map<String, Value>,
}

impl<'a> Teller<'a> {
    /// Tells on `io`; with `json` nothing is printed before [`Teller::object`].
    pub fn new(io: &'a mut Io, json: bool) -> Self {
        Self { io, json, begun: Instant::now(), open: None, steps: Vec::new() }
    }

    /// Whether people read it.
    pub const fn is_for_people(&self) -> bool {
        !self.json
    }

    /// Whether a progress bar can be drawn.
    pub const fn can_draw(&self) -> bool {
        !self.json && self.io.err_is_terminal
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Ends the step before and begins another.
    pub fn step(&mut self, who: Option<Principal>, title: &str) {
        self.end();
        let number = self.steps.len() + 1;
        let actor = who.map(|who| format!("{who}: ")).unwrap_or_default();
        let (bold, plain) = if self.io.out_is_terminal { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        self.print(&format!("\n{bold}{number:2}. {actor}{title}{plain}"));
        self.open =
            Some(Step { who, title: title.to_owned(), begun: Instant::now(), commands: Vec::new(), facts: Map::new() });
    }

    /// A sentence of the step.
    pub fn say(&mut self, text: &str) {
        for line in text.lines() {
            self.print(&format!("    {line}"));
        }
    }

    /// A command that is run.
    pub fn command(&mut self, line: String) {
        self.print(&format!("    $ {line}"));
        if let Some(step) = &mut self.open {
            step.commands.push(line);
        }
    }

    /// What a command answered.
    pub fn answer(&mut self, lines: &[String]) {
        for line in lines {
            self.print(&format!("      {line}"));
        }
    }

    /// A line as it is, outside of any step.
    pub fn line(&mut self, text: &str) {
        self.print(text);
    }

    /// Something for the record of the step.
    pub fn fact(&mut self, name: &str, value: Value) {
        if let Some(step) = &mut self.open {
            step.facts.insert(name.to_owned(), value);
        }
    }

    /// Ends the step and says how long it took.
    pub fn end(&mut self) {
        let Some(step) = self.open.take() else { return };
        let seconds = step.begun.elapsed().as_secs_f64();
        self.print(&format!("    ({seconds:.2} s)"));
        self.steps.push(json!({
            "number": self.steps.len() + 1,
            "title": step.title,
            "who": step.who.map(|who| who.to_string()),
            "seconds": (seconds * 1000.0).round() / 1000.0,
            "commands": step.commands,
            "facts": step.facts,
        }));
    }

    /// The record of every step so far.
    pub fn steps(&mut self) -> Value {
        self.end();
        Value::Array(self.steps.clone())
    }

    /// With `--json`: the one object.
    pub fn object(&mut self, value: &Value) {
        if self.json {
            let _ = writeln!(self.io.out, "{value}");
            let _ = self.io.out.flush();
        }
    }

    /// Why it stopped: the object with `--json`, else a line on standard error.
    pub fn fail(&mut self, code: &str, message: &str) {
        if self.json {
            self.object(&json!({ "error": { "code": code, "message": message } }));
        } else {
            let title = self.open.as_ref().map(|step| format!("step {} ({}): ", self.steps.len() + 1, step.title));
            let _ = writeln!(self.io.err, "error: {}{message}", title.unwrap_or_default());
        }
    }

    /// Nobody depends on the story being read: a closed stream is no error.
    fn print(&mut self, line: &str) {
        if !self.json {
            let _ = writeln!(self.io.out, "{line}");
            let _ = self.io.out.flush();
        }
    }
}
