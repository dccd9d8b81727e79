//! Who is elected to write. All times are the server's, so that the clocks of the processes' machines do not matter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{query, query_as};
use trialseal_store::{Election, Result, Standing, Store, StoreError};
use uuid::Uuid;

use crate::PostgresStore;

/// The clock at the moment it is asked, not that of the transaction's begin: the statement may have waited for the lock,
/// after which PostgreSQL looks at the row, and at the clock, again.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT"
    };
}

#[async_trait]
impl Election for PostgresStore {
    fn in_hands_of(&self, who: Uuid) -> Arc<dyn Store> {
        Arc::new(Self { who: Some(who), ..self.clone() })
    }

    async fn stand(&self, who: Uuid, term: Duration) -> Result<Standing> {
        let mut session = self.election.session().await?;
        let take = query(concat!(
            "UPDATE ledger SET holder = $2, held_until = ",
            now!(),
            " + $3 WHERE ledger = $1 AND (holder IS NULL OR holder = $2 OR held_until <= ",
            now!(),
            ")"
        ));
        let take = take.bind(self.ledger).bind(who).bind(micros(term)?);
        if session.execute(take).await? > 0 {
            return Ok(Standing::Elected);
        }
        let holder = query_as(HOLDER).bind(self.ledger);
        match session.optional(holder).await? {
            Some((Some(other),)) => Ok(Standing::Other(other)),
            _ => Err(StoreError::TryAgain("the term was given up at this moment".into())),
        }
    }

    async fn renew(&self, who: Uuid, term: Duration) -> Result<bool> {
        let mut session = self.election.session().await?;
        let renew = query(concat!(
            "UPDATE ledger SET held_until = ",
            now!(),
            " + $3 WHERE ledger = $1 AND holder = $2"
        ));
        let renewed = session.execute(renew.bind(self.ledger).bind(who).bind(micros(term)?)).await?;
        Ok(renewed > 0)
    }

    async fn resign(&self, who: Uuid) -> Result<()> {
        let mut session = self.election.session().await?;
        let resign =
            query("UPDATE ledger SET holder = NULL, held_until = NULL WHERE ledger = $1 AND holder = $2");
        session.execute(resign.bind(self.ledger).bind(who)).await.map(|_| ())
    }

    async fn holder(&self) -> Result<Option<Uuid>> {
        let (holder,) = self.pool.one(query_as(HOLDER).bind(self.ledger)).await?;
        Ok(holder)
    }
}

const HOLDER: &str = "SELECT holder FROM ledger WHERE ledger = $1";

/// A length of time as the column counts it.
fn micros(time: Duration) -> Result<i64> {
    i64::try_from(time.as_micros()).map_err(|_| StoreError::Refused("a term is too long".into()))
}
