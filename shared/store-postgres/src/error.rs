//! What an error of PostgreSQL means to whoever asked.

use sqlx::Error;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use trialseal_store::StoreError;

const INSUFFICIENT_PRIVILEGE: &str = "42501";

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
        // Rolled back for its own sake; serialization failure; deadlock; lock not had in time.
        "40000" | "40001" | "40P01" | "55P03" => StoreError::TryAgain(says),
        // Unknown whether the statement, such as a commit, was carried out; a standby, after a failover; idle in a
        // transaction, or inside of one, for too long.
        "40003" | "25006" | "25P03" | "25P04" => StoreError::Unavailable(says),
        // Data or index corrupted.
        "XX001" | "XX002" => StoreError::Damaged(says),
        _ => match code.get(..2) {
            // Connection, insufficient resources, operator intervention (a statement's time limit too), system error.
            Some("08" | "53" | "57" | "58") => StoreError::Unavailable(says),
            _ => StoreError::Refused(says),
        },
    }
}

/// As [`failed`], for bringing the tables up to date.
pub(crate) fn migration_failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => match failed(error) {
            StoreError::Refused(says) if says.contains(INSUFFICIENT_PRIVILEGE) => {
                StoreError::Refused(format!(
                    "the tables are not those of this version, and this user may not change them: \
                 run `trialseal migrate` as their owner ({says})"
                ))
            }
            other => other,
        },
        other => StoreError::Refused(format!("the tables are not those of this version: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_the_caller_can_do() {
        let codes = [
            // It was rolled back; the same can go well.
            ("40000 40001 40P01 55P03", "try again"),
            // The connection does not exist, failed, broke; a commit's outcome is unknown.
            ("08000 08001 08003 08004 08006 08007 08P01 40003", "unavailable"),
            // Resources, disk full, memory, too many connections, a limit of the configuration.
            ("53000 53100 53200 53300 53400", "unavailable"),
            // Statement cancelled; shutdown, crash, start-up; database dropped; session idle for too long.
            ("57000 57014 57P01 57P02 57P03 57P04 57P05", "unavailable"),
            // A standby; a transaction that took too long.
            ("25006 25P03 25P04", "unavailable"),
            // Input and output, files that are missing.
            ("58000 58030 58P01 58P02", "unavailable"),
            ("XX001 XX002", "damaged"),
            // Values, constraints, triggers, rights, statements, sizes: the same fails again.
            ("22021 23001 23505 23514 25P02 28P01 40002 42501 42P01 54000 P0001 XX000", "refused"),
        ];
        let sorted = |code| match refused(code, "message") {
            StoreError::TryAgain(_) => "try again",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Damaged(_) => "damaged",
            StoreError::Refused(_) => "refused",
            other => panic!("{other}"),
        };
        for (codes, kind) in codes {
            for code in codes.split(' ') {
                assert_eq!(sorted(code), kind, "{code}");
            }
        }
        assert_eq!(sorted(""), "refused");
        assert!(matches!(failed(Error::PoolTimedOut), StoreError::Unavailable(_)));
        assert!(matches!(failed(Error::RowNotFound), StoreError::Damaged(_)));
    }
}
