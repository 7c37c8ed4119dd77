//! For tests: streams that are kept, and no environment but the one given.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub mod gateway;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::interrupt::Interrupt;
use crate::io::Io;

/// What a command printed.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    out: Kept,
    err: Kept,
}

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    pub fn out(&self) -> String {
        String::from_utf8(self.out.0.lock().unwrap().clone()).unwrap()
    }

    pub fn err(&self) -> String {
        String::from_utf8(self.err.0.lock().unwrap().clone()).unwrap()
    }
}

/// Streams that are kept, an environment, and an interrupt that never comes.
pub fn captured<const N: usize>(env: [(&'static str, String); N]) -> (Io, Captured) {
    let captured = Captured::default();
    let io = Io {
        out: Box::new(captured.out.clone()),
        err: Box::new(captured.err.clone()),
        input: Box::new(io::empty()),
        env: Box::new(env),
        out_is_terminal: false,
        err_is_terminal: false,
        interrupt: Interrupt::never(),
    };
    (io, captured)
}
