//! Inserting many rows at once.

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};
use trialseal_store::Result;

use crate::error::failed;

/// Rows in one statement. Each statement is a round trip to the connection's thread; a few fixed sizes keep the number
/// of prepared statements small.
const ROWS: [usize; 3] = [64, 8, 1];

pub(crate) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Inserts rows: `into` ends before VALUES, `values` is one row's placeholders in brackets, `conflict` follows them.
pub(crate) async fn insert<T>(
    connection: &mut SqliteConnection,
    (into, values, conflict): (&'static str, &'static str, &'static str),
    rows: &[T],
    bind: impl for<'q> Fn(Statement<'q>, &'q T) -> Result<Statement<'q>>,
) -> Result<()> {
    let mut left = rows;
    for size in ROWS {
        let (whole, rest) = left.split_at(left.len() / size * size);
        for chunk in whole.chunks_exact(size) {
            // Made of this crate's own constants alone.
            let sql = format!("{into} VALUES {} {conflict}", vec![values; size].join(", "));
            let statement = chunk.iter().try_fold(sqlx::query(AssertSqlSafe(sql)), &bind)?;
            statement.execute(&mut *connection).await.map_err(failed)?;
        }
        left = rest;
    }
    Ok(())
}
