//! What a store was like at some moment, so that whoever closed it can tell later whether what it
//! knew of it still holds. Reads no row.

use std::fs;

use crate::store::Store;

/// A moment in a store's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// RocksDB's name for the database: another store at the same place has another one.
    database: Vec<u8>,
    epoch: u64,
    /// How many writes the database had seen.
    writes: u64,
}

impl Moment {
    /// The store's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether everything that was there at `before` is there now, at this moment: nothing was
    /// deleted in between, nor was an older copy put in the store's place.
    pub fn continues(&self, before: &Moment) -> bool {
        !self.database.is_empty()
            && self.database == before.database
            && self.epoch == before.epoch
            && self.writes >= before.writes
    }
}

impl Store {
    /// The present moment, as far as this opening sees it.
    pub fn moment(&self) -> Moment {
        // A database without a name continues none.
        let database = fs::read(self.layout.db.join("IDENTITY")).unwrap_or_default();
        Moment { database, epoch: self.epoch(), writes: self.db.writes() }
    }
}
