//! What an error of SQLite means to whoever asked.

use sqlx::Error;
use sqlx::migrate::MigrateError;
use trialseal_store::StoreError;

/// Primary result codes of SQLite (<https://www.sqlite.org/rescode.html>).
mod code {
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const READONLY: u32 = 8;
    pub(super) const IOERR: u32 = 10;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CANTOPEN: u32 = 14;
    pub(super) const NOTADB: u32 = 26;
}

/// Sorts an error by what the caller can do. SQLite's messages name tables and columns, never values.
pub(crate) fn failed(error: Error) -> StoreError {
    match error {
        Error::Database(error) => {
            // The extended code holds the primary one in its low byte.
            let primary =
                error.code().and_then(|code| code.parse::<u32>().ok()).map_or(0, |code| code & 0xff);
            let message = error.message().to_owned();
            match primary {
                code::BUSY | code::LOCKED => StoreError::TryAgain(message),
                code::READONLY | code::IOERR | code::FULL | code::CANTOPEN => {
                    StoreError::Unavailable(message)
                }
                code::CORRUPT | code::NOTADB => StoreError::Damaged(message),
                _ => StoreError::Refused(message),
            }
        }
        Error::RowNotFound => StoreError::Damaged("a row that must be there is missing".into()),
        Error::ColumnDecode { index, .. } => StoreError::Damaged(format!("column {index} cannot be read")),
        Error::Decode(_) => StoreError::Damaged("a column cannot be read".into()),
        Error::Encode(_) => StoreError::Refused("a value cannot be written".into()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// As [`failed`], for bringing the tables up to date.
pub(crate) fn migration_failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failed(error),
        other => StoreError::Refused(format!("the tables are not those of this version: {other}")),
    }
}
