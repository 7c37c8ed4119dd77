//! A store's two files at one moment, and what a crash may leave of the way from one moment to the next.

use gateway_store::{OpenOptions, Records};
use jiff::Timestamp;

use super::Fixture;
use super::simulation::Random;

/// Disks write sectors whole.
const SECTOR: usize = 512;

/// Database and write-ahead log.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    /// The log's part of the way to `after`, a commit later: what was written first is there, the rest is missing or garbled.
    /// Whether all of it is there.
    pub fn torn_commit(mut self, after: &Self, random: &mut Random) -> (Self, bool) {
        let (old, new) = (&self.log, &after.log);
        let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        // A log that is used again keeps the end of what it held before.
        let past = (same..new.len()).rev().find(|at| old.get(*at) != new.get(*at)).map_or(same, |at| at + 1);
        let kept = same + usize::try_from(random.below((past - same + 1) as u64)).unwrap();
        let mut log = new[..kept].to_vec();
        if random.below(2) == 0 {
            // Other bytes than were written, each of them.
            log.extend(new[kept..past].iter().map(|byte| byte ^ u8::try_from(1 + random.below(255)).unwrap()));
        }
        log.extend(old.iter().skip(log.len()));
        self.log = log;
        (self, kept == past)
    }

    /// The database's part of the way to `after`, a copy of the log later: any of the sectors, in any order.
    pub fn torn_copy(mut self, after: &Self, random: &mut Random) -> Self {
        for (number, sector) in after.database.chunks(SECTOR).enumerate() {
            if random.below(2) == 0 {
                let (from, past) = (number * SECTOR, number * SECTOR + sector.len());
                self.database.resize(self.database.len().max(past), 0);
                self.database[from..past].copy_from_slice(sector);
            }
        }
        self
    }

    /// This database, with the log of `later`.
    pub fn database_of(self, later: Self) -> Self {
        Self { database: self.database, log: later.log }
    }

    pub fn open(self, at: Timestamp, clean: bool) -> Fixture {
        let image = super::folder_in_memory();
        let data = image.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("kouan.db"), self.database).unwrap();
        std::fs::write(data.join("kouan.db-wal"), self.log).unwrap();
        let (records, recovered) = Records::open(&data, OpenOptions::new(at)).unwrap();
        assert_eq!(recovered.leaf.is_none(), clean);
        Fixture::of(records, at, image)
    }
}

impl Fixture {
    /// As they are: all of the log is synced once a commit is answered, all of the database once a copy has ended.
    pub(crate) fn files(&self) -> Files {
        let read = |name: &str| std::fs::read(self.records.dir().join(name));
        Files { database: read("kouan.db").unwrap(), log: read("kouan.db-wal").unwrap_or_default() }
    }

    /// What the writer does after so many groups ([`OpenOptions::wal_groups_max`]), here at a moment of the life's choosing:
    /// SQLite lets any connection do it.
    pub(crate) fn copy_log(&self) {
        let connection = rusqlite::Connection::open(self.records.dir().join("kouan.db")).unwrap();
        let (busy, pages, copied) = connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            })
            .unwrap();
        assert!(!busy && pages == copied, "{copied} of {pages} pages of the log are copied");
    }
}
