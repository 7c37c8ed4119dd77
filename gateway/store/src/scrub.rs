//! Reading again all that is stored, while it is in use: bits that have flipped on the disk are found before anybody needs them.
//!
//! Entries in the database, published tiles, facts and objects are hashed again in slices; after each the caller is asked for
//! how long to rest, so that whoever is served does not notice. The log is held against the signed checkpoint. Each entry lies in
//! three places (database, hash tile, bundle): two that agree say which is wrong.
//!
//! What has no digest (other tables) is checked as far as SQLite can: pages, cells, and that indexes and rows agree.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use catalog::Digest;
use catalog::digest::Hasher;
use gateway_audit::VerifierKey;
use rusqlite::Connection;

use crate::publisher::FACTS_DIR;
use crate::reader::{connect, digest};
use crate::records::{DATABASE_FILE, ReadError, Records};

mod log;

/// Files and rows that are read between two rests, in bytes.
const SLICE_BYTES: usize = 4 * 1024 * 1024;

/// Rows of facts that are read at once.
const FACTS_AT_ONCE: usize = 256;

/// So much is named; what is beyond is counted.
const NAMED_MAX: usize = 256;

/// Tables whose every row is hashed: their pages are read thereby.
const HASHED: [&str; 2] = ["entry", "facts"];

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A log entry's row in the database.
    Entry(u64),
    /// A facts blob's row in the database.
    Facts(Digest),
    /// Another table of the database.
    Table(String),
    /// A file, by its path in the data directory.
    File(String),
    /// A stored object.
    Object(Digest),
    /// The index of a stored file.
    Index(Digest),
    /// Every part agrees, and the whole is not what was signed.
    Root,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(index) => write!(f, "{DATABASE_FILE}: log entry {index}"),
            Self::Facts(digest) => write!(f, "{DATABASE_FILE}: facts {digest}"),
            Self::Table(name) => write!(f, "{DATABASE_FILE}: table {name}"),
            Self::File(path) => f.write_str(path),
            Self::Object(digest) => write!(f, "objects/{}", digest.hex()),
            Self::Index(digest) => write!(f, "objects/{}.index.json", digest.hex()),
            Self::Root => f.write_str("the root of the log"),
        }
    }
}

/// Something that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where.
    pub place: Place,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// What was read, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Log entries.
    pub entries: u64,
    /// Facts, objects and files of the published log.
    pub files: u64,
    /// Bytes of all of it.
    pub bytes: u64,
    /// What is wrong, the first 256 of it.
    pub flaws: Vec<Flaw>,
    /// How much is wrong.
    pub count: u64,
}

impl Scrubbed {
    fn found(&mut self, place: Place, why: impl Into<String>) {
        self.count += 1;
        if self.flaws.len() < NAMED_MAX {
            self.flaws.push(Flaw { place, why: why.into() });
        }
    }
}

/// Why it did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// The caller wanted it to stop.
    #[error("it was stopped")]
    Stopped,
    /// The database cannot be opened or its tables not be listed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A folder cannot be listed.
    #[error("`{}` cannot be read: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<rusqlite::Error> for ScrubError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.into())
    }
}

/// One scrub on its way.
struct Scrub<'a> {
    data: &'a Path,
    /// Its own: what other connections have in memory is not what is on the disk.
    connection: Connection,
    keys: &'a [VerifierKey],
    rest: &'a mut dyn FnMut() -> bool,
    unrested: usize,
    done: Scrubbed,
}

impl Records {
    /// Reads everything again, on the calling thread. `rest` is called between slices; false stops.
    ///
    /// # Errors
    ///
    /// [`ScrubError`]. What is wrong with the data is no error: it is in the result.
    pub fn scrub(&self, keys: &[VerifierKey], rest: &mut dyn FnMut() -> bool) -> Result<Scrubbed, ScrubError> {
        let connection = connect(&self.dir().join(DATABASE_FILE))?;
        connection.pragma_update(None, "cell_size_check", "ON")?;
        let mut scrub = Scrub { data: self.dir(), connection, keys, rest, unrested: 0, done: Scrubbed::default() };
        // The guard says how many facts are exported: it is read first, for there are more of them with each moment.
        let exported = self.read(|reader| Ok(reader.guard()?.map_or(0, |guard| guard.facts)))?;
        scrub.log()?;
        scrub.facts(exported)?;
        scrub.objects()?;
        scrub.tables()?;
        Ok(scrub.done)
    }
}

impl Scrub<'_> {
    /// So much was read.
    fn read(&mut self, bytes: usize) -> Result<(), ScrubError> {
        self.done.bytes += bytes as u64;
        self.unrested += bytes;
        if self.unrested >= SLICE_BYTES {
            self.unrested = 0;
            if !(self.rest)() {
                return Err(ScrubError::Stopped);
            }
        }
        Ok(())
    }

    /// Rows of facts, and the files of those that are exported.
    fn facts(&mut self, exported: u64) -> Result<(), ScrubError> {
        let mut after = 0_i64;
        loop {
            let rows = self.facts_after(after);
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    self.done.found(Place::Table("facts".to_owned()), error.to_string());
                    return Ok(());
                }
            };
            let Some((last, ..)) = rows.last() else { return Ok(()) };
            after = *last;
            for (seq, digest, body) in rows {
                if Digest::of(&body) != digest {
                    self.done.found(Place::Facts(digest), "the row does not hold what its digest says");
                }
                self.read(body.len())?;
                if u64::try_from(seq).is_ok_and(|seq| seq <= exported) {
                    let name = format!("{FACTS_DIR}/{}.json", digest.hex());
                    self.file(&name, &digest, Place::File(name.clone()))?;
                }
            }
        }
    }

    fn facts_after(&self, after: i64) -> rusqlite::Result<Vec<(i64, Digest, Vec<u8>)>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT seq, digest, body FROM facts WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let limit = i64::try_from(FACTS_AT_ONCE).unwrap_or(i64::MAX);
        query.query_map((after, limit), |row| Ok((row.get(0)?, digest(row, 1)?, row.get(2)?)))?.collect()
    }

    /// Every object, and the index of every file.
    fn objects(&mut self) -> Result<(), ScrubError> {
        let folder = self.data.join("objects");
        let listed = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed,
        };
        let failed = |source| ScrubError::Folder { path: folder.clone(), source };
        for entry in listed.map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let hex = name.strip_suffix(".index.json").unwrap_or(&name);
            // What is on its way in has another name.
            let Ok(digest) = Digest::parse(&format!("sha256:{hex}")) else { continue };
            let path = format!("objects/{name}");
            let place = if hex == name { Place::Object(digest) } else { Place::Index(digest) };
            // Taken away since the folder was listed: withdrawn versions are.
            if self.data.join(&path).exists() {
                self.file(&path, &digest, place)?;
            }
        }
        Ok(())
    }

    /// A file whose bytes have this digest.
    fn file(&mut self, path: &str, expected: &Digest, place: Place) -> Result<(), ScrubError> {
        let mut file = match File::open(self.data.join(path)) {
            Ok(file) => file,
            Err(error) => {
                let why =
                    if error.kind() == io::ErrorKind::NotFound { "missing".to_owned() } else { error.to_string() };
                self.done.found(place, why);
                return Ok(());
            }
        };
        self.done.files += 1;
        let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 256 * 1024]);
        loop {
            let read = match file.read(&mut buffer) {
                Ok(read) => read,
                Err(error) => {
                    self.done.found(place, error.to_string());
                    return Ok(());
                }
            };
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            self.read(read)?;
        }
        let got = hasher.finish();
        if got != *expected {
            self.done.found(place, format!("its digest is {got}"));
        }
        Ok(())
    }

    /// The other tables, one after the other, each with its indexes.
    fn tables(&mut self) -> Result<(), ScrubError> {
        let names: Vec<String> = {
            let mut query =
                self.connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
            query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        for name in names.iter().filter(|name| !HASHED.contains(&name.as_str())) {
            let checked: rusqlite::Result<Vec<String>> = self
                .connection
                .prepare(&format!("PRAGMA integrity_check('{}')", name.replace('\'', "''")))
                .and_then(|mut check| check.query_map([], |row| row.get(0))?.collect());
            match checked {
                Ok(said) if said == ["ok"] => {}
                Ok(said) => self.done.found(Place::Table(name.clone()), said.join("; ")),
                Err(error) => self.done.found(Place::Table(name.clone()), error.to_string()),
            }
            if !(self.rest)() {
                return Err(ScrubError::Stopped);
            }
        }
        Ok(())
    }
}
