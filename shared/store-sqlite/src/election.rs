//! Who is elected to write.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, query, query_scalar};
use trialseal_store::{Election, Result, Standing, Store, StoreError};
use uuid::Uuid;

use crate::SqliteStore;
use crate::error::failed;

/// Microseconds, of which SQLite knows the thousands. It looks at the clock when the statement begins to run, and by then
/// the statement has the file's write lock.
macro_rules! now {
    () => {
        "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)"
    };
}

#[async_trait]
impl Election for SqliteStore {
    fn in_hands_of(&self, who: Uuid) -> Arc<dyn Store> {
        Arc::new(Self { who: Some(who), ..self.clone() })
    }

    async fn stand(&self, who: Uuid, term: Duration) -> Result<Standing> {
        let mut tx = self.begin().await?;
        let take = query(concat!(
            "UPDATE ledger SET holder = ?2, held_until = ",
            now!(),
            " + ?3 WHERE ledger = ?1 AND (holder IS NULL OR holder = ?2 OR held_until <= ",
            now!(),
            ")"
        ));
        let take = take.bind(self.ledger).bind(who).bind(micros(term)?);
        let taken = take.execute(&mut *tx).await.map_err(failed)?.rows_affected();
        let holder = query_scalar(HOLDER).bind(self.ledger).fetch_one(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(if taken > 0 { Standing::Elected } else { Standing::Other(holder) })
    }

    async fn renew(&self, who: Uuid, term: Duration) -> Result<bool> {
        let renew = query(concat!(
            "UPDATE ledger SET held_until = ",
            now!(),
            " + ?3 WHERE ledger = ?1 AND holder = ?2"
        ));
        let renew = renew.bind(self.ledger).bind(who).bind(micros(term)?);
        self.touches(renew).await
    }

    async fn resign(&self, who: Uuid) -> Result<()> {
        let resign =
            query("UPDATE ledger SET holder = NULL, held_until = NULL WHERE ledger = ?1 AND holder = ?2");
        self.touches(resign.bind(self.ledger).bind(who)).await.map(|_| ())
    }

    async fn holder(&self) -> Result<Option<Uuid>> {
        query_scalar(HOLDER).bind(self.ledger).fetch_one(&self.readers).await.map_err(failed)
    }
}

impl SqliteStore {
    /// Carries a statement out, and tells whether it touched a row.
    async fn touches(&self, statement: sqlx::query::Query<'_, Sqlite, SqliteArguments>) -> Result<bool> {
        let done = statement.execute(&self.writer).await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }
}

const HOLDER: &str = "SELECT holder FROM ledger WHERE ledger = ?1";

/// A length of time as the column counts it.
fn micros(time: Duration) -> Result<i64> {
    i64::try_from(time.as_micros()).map_err(|_| StoreError::Refused("a term is too long".into()))
}
