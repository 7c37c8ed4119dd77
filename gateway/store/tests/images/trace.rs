//! A run's system calls that change the disk, in their order, from strace.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CALLS: &str = "openat,mkdir,mkdirat,pwrite64,write,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,\
                     unlink,unlinkat,rmdir,ftruncate";

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    Folder(PathBuf),
    /// A new file, or an old one emptied.
    Create {
        path: PathBuf,
        truncate: bool,
    },
    Write {
        path: PathBuf,
        at: u64,
        bytes: Bytes,
    },
    Length {
        path: PathBuf,
        bytes: u64,
    },
    /// Done; `since` is the number of the event before which it began.
    Sync {
        path: PathBuf,
        folder: bool,
        since: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Remove(PathBuf),
    /// A line that the run told its caller.
    Answer(String),
}

/// Bytes that do not fill a failure's message.
#[derive(Clone)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Runs this test's child under strace.
pub fn record(dir: &Path, log: &Path) -> Vec<Event> {
    let traced = Command::new("strace")
        .args(["-f", "-q", "-y", "-xx", "-s", "1048576", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(log)
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .arg("child")
        .arg(dir)
        .stdout(Stdio::null())
        .status()
        .expect("strace is not here: tests/run installs it");
    assert!(traced.success(), "{traced}");
    let text = std::fs::read_to_string(log).unwrap();
    std::fs::remove_file(log).unwrap();
    parse(&text, dir)
}

fn parse(text: &str, dir: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    let mut unfinished: HashMap<&str, (String, usize)> = HashMap::new();
    let mut offsets: HashMap<u32, u64> = HashMap::new();
    for line in text.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (start.to_owned(), events.len()));
            continue;
        }
        let (call, since) = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => {
                let (start, since) = unfinished.remove(thread).unwrap();
                (start + end, since)
            }
            None => (rest.to_owned(), events.len()),
        };
        events.extend(event(&call, since, dir, &mut offsets));
    }
    events
}

/// Nothing for calls that failed, changed nothing, or are about other files.
fn event(call: &str, since: usize, dir: &Path, offsets: &mut HashMap<u32, u64>) -> Option<Event> {
    let (call, result) = call.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let (name, arguments) = call.split_once('(')?;
    let arguments: Vec<&str> = arguments.trim_end().strip_suffix(')')?.split(", ").collect();
    let inside = |path: PathBuf| path.starts_with(dir).then_some(path);
    // A path in its own argument, or beside the folder that it is relative to.
    let named = |at: usize| inside(PathBuf::from(text(arguments[at])));
    let beside = |at: usize| inside(opened(arguments[at]).join(text(arguments[at + 1])));
    match name {
        "mkdir" => Some(Event::Folder(named(0)?)),
        "mkdirat" => Some(Event::Folder(beside(0)?)),
        "openat" => {
            let path = beside(0)?;
            let flags = arguments[2];
            offsets.insert(descriptor(result), 0);
            let truncate = flags.contains("O_TRUNC");
            (flags.contains("O_CREAT") || truncate).then_some(Event::Create { path, truncate })
        }
        "write" if descriptor(arguments[0]) == 1 => {
            Some(Event::Answer(String::from_utf8(bytes(arguments[1])).unwrap().trim_end().to_owned()))
        }
        "write" => {
            let path = inside(opened(arguments[0]))?;
            let offset = offsets.entry(descriptor(arguments[0])).or_default();
            let (at, bytes) = (*offset, bytes(arguments[1]));
            *offset += bytes.len() as u64;
            Some(Event::Write { path, at, bytes: Bytes(bytes) })
        }
        "pwrite64" => {
            let path = inside(opened(arguments[0]))?;
            Some(Event::Write { path, at: arguments[3].parse().unwrap(), bytes: Bytes(bytes(arguments[1])) })
        }
        "ftruncate" => {
            Some(Event::Length { path: inside(opened(arguments[0]))?, bytes: arguments[1].parse().unwrap() })
        }
        "fsync" | "fdatasync" => {
            let path = inside(opened(arguments[0]))?;
            Some(Event::Sync { folder: path.is_dir(), path, since })
        }
        "rename" => Some(Event::Rename { from: named(0)?, to: named(1)? }),
        "link" => Some(Event::Link { from: named(0)?, to: named(1)? }),
        "linkat" => Some(Event::Link { from: beside(0)?, to: beside(2)? }),
        "unlink" | "rmdir" => Some(Event::Remove(named(0)?)),
        "unlinkat" => Some(Event::Remove(beside(0)?)),
        other => panic!("a call that the disk's model does not know: {other}"),
    }
}

fn descriptor(argument: &str) -> u32 {
    argument.split(['<', ' ']).next().unwrap().parse().unwrap_or(u32::MAX)
}

/// The path that strace shows beside a descriptor.
fn opened(argument: &str) -> PathBuf {
    let path = argument.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>')).map_or("", |(path, _)| path);
    PathBuf::from(String::from_utf8(hex(path)).unwrap())
}

fn text(argument: &str) -> String {
    String::from_utf8(bytes(argument)).unwrap()
}

/// What stands in quotes.
fn bytes(argument: &str) -> Vec<u8> {
    let quoted = argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    hex(quoted.unwrap_or_else(|| panic!("strace cut off {}", &argument[..argument.len().min(80)])))
}

/// `\x2f\x74…`
fn hex(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(&byte[..2], 16).unwrap()).collect()
}
