//! How far a pull is: a bar on a terminal, a line every few seconds elsewhere, nothing with `--json`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;
use crate::session::Session;

/// Between two lines where no bar can be drawn.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// `{prefix}` is the file's name.
const BAR: &str = "{prefix}  {bar:30}  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
/// For a stream whose length nobody knows.
const SPINNER: &str = "{prefix}  {spinner}  {bytes}  {bytes_per_sec}";

/// Progress of one file.
#[derive(Debug)]
pub struct Progress {
    name: String,
    done: u64,
    at_start: u64,
    total: Option<u64>,
    started: Instant,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Bar(ProgressBar),
    Lines { last: Instant },
    Silent,
}

impl Progress {
    /// Starts showing `name`, of which `done` bytes are there.
    pub fn start(session: &Session<'_>, name: &str, done: u64, total: Option<u64>) -> Self {
        let started = Instant::now();
        let form = if session.json {
            Form::Silent
        } else if session.io.err_is_terminal {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = if total.is_some() { BAR } else { SPINNER };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
            bar.set_position(done);
            bar.reset_eta();
            Form::Bar(bar)
        } else {
            Form::Lines { last: started }
        };
        Self { name: name.to_owned(), done, at_start: done, total, started, form }
    }

    /// `done` bytes are there now. It may go back, when a chunk has to be fetched again.
    pub fn set(&mut self, session: &mut Session<'_>, done: u64) {
        self.done = done;
        match &mut self.form {
            Form::Bar(bar) => bar.set_position(done),
            Form::Lines { last } if last.elapsed() >= LINE_INTERVAL => {
                *last = Instant::now();
                let line = self.line();
                session.note(&line);
            }
            Form::Lines { .. } | Form::Silent => {}
        }
    }

    /// Says something without tearing the bar.
    pub fn say(&self, session: &mut Session<'_>, text: &str) {
        match &self.form {
            Form::Bar(bar) => bar.suspend(|| session.note(text)),
            Form::Lines { .. } | Form::Silent => session.note(text),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }

    fn line(&self) -> String {
        let seconds = self.started.elapsed().as_secs().max(1);
        let rate = self.done.saturating_sub(self.at_start) / seconds;
        let mut line = format!("{}  {}", self.name, output::bytes(self.done));
        if let Some(total) = self.total {
            let _ = write!(line, " of {}", output::bytes(total));
        }
        let _ = write!(line, "  {}/s", output::bytes(rate));
        if let Some(left) = self.total.map(|total| total.saturating_sub(self.done)).filter(|_| rate > 0) {
            let _ = write!(line, "  {} s left", left / rate);
        }
        line
    }
}
