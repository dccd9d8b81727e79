//! The tables of record and key store: made and changed by migrations, each of which is carried out once.

use sqlx::migrate::{Migrate as _, Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr};
use trialseal_store::Result;

use crate::error::migration_failed;

/// Migrations in their order: name and SQL.
pub(crate) type Migrations = &'static [(&'static str, &'static str)];

/// The tables of the record.
pub(crate) const RECORD: Migrations = &[
    ("ledger", include_str!("../../../migrations/postgres/0001_ledger.sql")),
    ("election", include_str!("../../../migrations/postgres/0002_election.sql")),
    ("identity", include_str!("../../../migrations/postgres/0003_identity.sql")),
    ("timestamps", include_str!("../../../migrations/postgres/0004_timestamps.sql")),
    ("claims", include_str!("../../../migrations/postgres/0005_claims.sql")),
    ("reseals", include_str!("../../../migrations/postgres/0006_reseals.sql")),
    ("participants", include_str!("../../../migrations/postgres/0007_participants.sql")),
    ("passkeys", include_str!("../../../migrations/postgres/0008_passkeys.sql")),
];

/// The tables of the key store.
pub(crate) const KEYS: Migrations = &[
    ("keys", include_str!("../../../migrations/keys/postgres/0001_keys.sql")),
    ("former_keys", include_str!("../../../migrations/keys/postgres/0002_former_keys.sql")),
];

/// Brings the tables up to date. A user who may change no table is not asked to where nothing has to be changed.
pub(crate) async fn bring_up_to_date(session: &mut PgConnection, migrations: Migrations) -> Result<()> {
    let migrator = migrator(migrations);
    if are_up_to_date(&migrator, session).await {
        return Ok(());
    }
    migrator.run_direct(None, session, false).await.map_err(migration_failed)
}

/// Whether these migrations and no others were carried out. Each is noted in the transaction that carries it out.
async fn are_up_to_date(migrator: &Migrator, session: &mut PgConnection) -> bool {
    // Where the table is not there yet, or cannot be read, the answer is no as well.
    let applied = session.list_applied_migrations(&migrator.table_name).await.unwrap_or_default();
    let applied = applied.iter().map(|migration| (migration.version, &migration.checksum));
    applied.eq(migrator.iter().map(|migration| (migration.version, &migration.checksum)))
}

fn migrator(migrations: Migrations) -> Migrator {
    let migration = |(number, (name, sql)): (i64, &(&'static str, &'static str))| {
        Migration::new(number, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations((1..).zip(migrations).map(migration).collect())
}
