//! The writer's connection, which keeps each statement that it has prepared.
//!
//! The library's own cache finds a statement by its text: for a decision's two dozen statements that is a tenth of the
//! writer's time. Here it is found by where its text stands in the program. A statement keeps what was bound to it last.

use std::cell::{OnceCell, RefCell, RefMut};
use std::ops::Deref;

use rusqlite::{Connection, Statement};

/// More than the writer has statements.
const PLACES: usize = 256;

pub(super) struct Database<'c> {
    connection: &'c Connection,
    places: [Place<'c>; PLACES],
    /// For what has no place.
    rest: Place<'c>,
}

/// Statements whose texts fall into one place.
type Place<'c> = OnceCell<Box<Kept<'c>>>;

struct Kept<'c> {
    text: &'static str,
    statement: RefCell<Statement<'c>>,
    next: Place<'c>,
}

impl<'c> Database<'c> {
    pub(super) const fn new(connection: &'c Connection) -> Self {
        Self { connection, places: [const { OnceCell::new() }; PLACES], rest: OnceCell::new() }
    }

    /// The statement with this text, or another one if somebody still uses that.
    pub(super) fn prepare_cached(&self, text: &'static str) -> rusqlite::Result<RefMut<'_, Statement<'c>>> {
        // Every text is longer than eight bytes.
        let mut place = self.places.get(text.as_ptr().addr() / 8 % PLACES).unwrap_or(&self.rest);
        while let Some(kept) = place.get() {
            if std::ptr::eq(kept.text, text)
                && let Ok(statement) = kept.statement.try_borrow_mut()
            {
                return Ok(statement);
            }
            place = &kept.next;
        }
        let statement = RefCell::new(self.connection.prepare(text)?);
        let kept = place.get_or_init(|| Box::new(Kept { text, statement, next: OnceCell::new() }));
        Ok(kept.statement.borrow_mut())
    }
}

impl Deref for Database<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_statement_is_kept_and_one_in_use_is_not_shared() {
        static TEXT: &str = "SELECT value FROM json_each('[1, 2, 3]') WHERE value > ?1";
        let connection = Connection::open_in_memory().unwrap();
        let database = Database::new(&connection);
        let first = database.prepare_cached(TEXT).unwrap();
        let kept = &raw const *first;
        drop(first);
        let mut outer = database.prepare_cached(TEXT).unwrap();
        assert!(std::ptr::eq(kept, &raw const *outer));
        let mut rows = outer.query([0]).unwrap();
        assert!(rows.next().unwrap().is_some());
        let inner: i64 = database.prepare_cached(TEXT).unwrap().query_row([2], |row| row.get(0)).unwrap();
        assert_eq!(inner, 3);
        let second: i64 = rows.next().unwrap().unwrap().get(0).unwrap();
        assert_eq!(second, 2, "the outer one goes on where it was");
    }

    #[test]
    fn a_text_that_begins_as_another_does_is_another() {
        static LONG: &str = "SELECT 1, 2";
        let connection = Connection::open_in_memory().unwrap();
        let database = Database::new(&connection);
        let short = LONG.get(..8).unwrap();
        assert_eq!(database.prepare_cached(LONG).unwrap().column_count(), 2);
        assert_eq!(database.prepare_cached(short).unwrap().column_count(), 1);
    }
}
