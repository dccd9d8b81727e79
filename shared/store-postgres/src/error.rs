//! What an error of PostgreSQL means to whoever asked.

use sqlx::Error;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use trialseal_store::StoreError;

/// Sorts an error by what the caller can do. Of PostgreSQL's words only the primary message is handed on: details and
/// hints can hold values.
pub(crate) fn failed(error: Error) -> StoreError {
    match error {
        Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => refused(error.code(), error.message()),
            None => StoreError::Refused(error.message().to_owned()),
        },
        Error::RowNotFound => StoreError::Damaged("a row that must be there is missing".into()),
        Error::ColumnDecode { index, .. } => StoreError::Damaged(format!("column {index} cannot be read")),
        Error::Decode(_) => StoreError::Damaged("a column cannot be read".into()),
        Error::Encode(_) => StoreError::Refused("a value cannot be written".into()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// Sorts by SQLSTATE (PostgreSQL manual, appendix A).
fn refused(code: &str, message: &str) -> StoreError {
    let says = format!("{message} ({code})");
    match code {
        // Serialization failure, deadlock, lock not had in time.
        "40001" | "40P01" | "55P03" => StoreError::TryAgain(says),
        // Statement timeout; idle in a transaction for too long; a standby, after a failover.
        "57014" | "25P03" | "25006" => StoreError::Unavailable(says),
        // Data or index corrupted.
        "XX001" | "XX002" => StoreError::Damaged(says),
        _ => match code.get(..2) {
            // Connection, insufficient resources, operator intervention, system error.
            Some("08" | "53" | "57" | "58") => StoreError::Unavailable(says),
            _ => StoreError::Refused(says),
        },
    }
}

/// As [`failed`], for bringing the tables up to date.
pub(crate) fn migration_failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failed(error),
        other => StoreError::Refused(format!("the tables are not those of this version: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_the_caller_can_do() {
        let kind = |code| match refused(code, "message") {
            StoreError::TryAgain(_) => "try again",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Damaged(_) => "damaged",
            StoreError::Refused(_) => "refused",
            other => panic!("{other}"),
        };
        for code in ["40001", "40P01", "55P03"] {
            assert_eq!(kind(code), "try again", "{code}");
        }
        for code in ["57P01", "57P02", "57P03", "57014", "53100", "53300", "08006", "25P03", "25006", "58030"]
        {
            assert_eq!(kind(code), "unavailable", "{code}");
        }
        for code in ["23505", "23001", "22021", "42P01", "42501", ""] {
            assert_eq!(kind(code), "refused", "{code}");
        }
        assert_eq!(kind("XX001"), "damaged");
        assert!(matches!(failed(Error::PoolTimedOut), StoreError::Unavailable(_)));
        assert!(matches!(failed(Error::RowNotFound), StoreError::Damaged(_)));
    }
}
