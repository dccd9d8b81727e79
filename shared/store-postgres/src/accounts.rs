//! Accounts of people, invitations, sessions and passkeys.

use async_trait::async_trait;
use sqlx::{query, query_as};
use trialseal_store::{
    AccountRow, Accounts, Chosen, InvitationRow, Known, PasskeyRow, SessionRow, StoreError, columns,
};
use uuid::Uuid;

use crate::PostgresStore;

type Result<T, E = StoreError> = std::result::Result<T, E>;

#[async_trait]
impl Accounts for PostgresStore {
    async fn add_account(&self, account: &AccountRow) -> Result<bool> {
        let (issuer, subject) = account.subject.clone().unzip();
        let add = query(
            "INSERT INTO account (ledger, id, login, issuer, subject, actor, role, organisation, trials, password, disabled,
                 known, issued, participant)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING",
        )
        .bind(self.ledger)
        .bind(account.id)
        .bind(account.login.as_deref())
        .bind(issuer)
        .bind(subject)
        .bind(account.actor.as_str())
        .bind(account.role.as_str())
        .bind(account.organisation.as_str())
        .bind(columns::trials_column(account.trials.as_deref()))
        .bind(account.password.as_deref())
        .bind(account.disabled)
        .bind(account.known.number())
        .bind(account.issued)
        .bind(account.participant.map(|participant| participant.0));
        Ok(self.pool.execute(add).await? > 0)
    }

    async fn add_first_administrator(&self, account: &AccountRow) -> Result<bool> {
        let mut session = self.pool.session().await?;
        session.begin().await?;
        // Two at once wait here for each other; what the first has added, the next statement of the second sees.
        let lock = query_as("SELECT ledger FROM ledger WHERE ledger = $1 FOR UPDATE").bind(self.ledger);
        session.optional::<(i16,)>(lock).await?;
        let add = query(
            "INSERT INTO account (ledger, id, login, actor, role, organisation, trials)
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE NOT EXISTS (SELECT 1 FROM account WHERE ledger = $1 AND role = 'admin')
             ON CONFLICT DO NOTHING",
        )
        .bind(self.ledger)
        .bind(account.id)
        .bind(account.login.as_deref())
        .bind(account.actor.as_str())
        .bind(account.role.as_str())
        .bind(account.organisation.as_str())
        .bind(columns::trials_column(account.trials.as_deref()));
        let added = session.execute(add).await? > 0;
        session.commit().await?;
        Ok(added)
    }

    async fn account(&self, id: Uuid) -> Result<Option<AccountRow>> {
        let row = query_as(
            "SELECT id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known,
                    issued, withdrawn, epoch, participant
             FROM account WHERE ledger = $1 AND id = $2",
        )
        .bind(self.ledger)
        .bind(id);
        self.pool.optional(row).await?.map(columns::account).transpose()
    }

    async fn account_of_login(&self, login: &str) -> Result<Option<AccountRow>> {
        let row = query_as(
            "SELECT id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known,
                    issued, withdrawn, epoch, participant
             FROM account WHERE ledger = $1 AND login = $2",
        )
        .bind(self.ledger)
        .bind(login);
        self.pool.optional(row).await?.map(columns::account).transpose()
    }

    async fn account_of_subject(&self, issuer: &str, subject: &str) -> Result<Option<AccountRow>> {
        let row = query_as(
            "SELECT id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known,
                    issued, withdrawn, epoch, participant
             FROM account WHERE ledger = $1 AND issuer = $2 AND subject = $3",
        )
        .bind(self.ledger)
        .bind(issuer)
        .bind(subject);
        self.pool.optional(row).await?.map(columns::account).transpose()
    }

    async fn accounts(&self) -> Result<Vec<AccountRow>> {
        let rows = query_as(
            "SELECT id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known,
                    issued, withdrawn, epoch, participant
             FROM account WHERE ledger = $1 ORDER BY id",
        )
        .bind(self.ledger);
        self.pool.all(rows).await?.into_iter().map(columns::account).collect()
    }

    async fn move_account(&self, account: &AccountRow) -> Result<()> {
        let change = query(
            "UPDATE account SET role = $3, organisation = $4, trials = $5, issued = $6, withdrawn = FALSE, known = $7
             WHERE ledger = $1 AND id = $2",
        )
        .bind(self.ledger)
        .bind(account.id)
        .bind(account.role.as_str())
        .bind(account.organisation.as_str())
        .bind(columns::trials_column(account.trials.as_deref()))
        .bind(account.issued)
        .bind(Known::Granted.number());
        self.pool.execute(change).await.map(|_| ())
    }

    async fn confirm_account(&self, id: Uuid, issued: i64) -> Result<()> {
        let confirm = query("UPDATE account SET issued = greatest(issued, $3) WHERE ledger = $1 AND id = $2")
            .bind(self.ledger)
            .bind(id)
            .bind(issued);
        self.pool.execute(confirm).await.map(|_| ())
    }

    async fn withdraw_account(&self, id: Uuid, issued: i64) -> Result<()> {
        let withdraw = query(
            "WITH s AS (DELETE FROM session WHERE ledger = $1 AND account = $2)
             UPDATE account SET withdrawn = TRUE, issued = $3, epoch = epoch + 1 WHERE ledger = $1 AND id = $2",
        )
        .bind(self.ledger)
        .bind(id)
        .bind(issued);
        self.pool.execute(withdraw).await.map(|_| ())
    }

    async fn change_password(&self, id: Uuid, old: &str, new: &str) -> Result<bool> {
        let change =
            query("UPDATE account SET password = $4 WHERE ledger = $1 AND id = $2 AND password = $3")
                .bind(self.ledger)
                .bind(id)
                .bind(old)
                .bind(new);
        Ok(self.pool.execute(change).await? > 0)
    }

    async fn disable_account(&self, id: Uuid) -> Result<bool> {
        // One statement, and so one transaction.
        let disable = query(
            "WITH s AS (DELETE FROM session WHERE ledger = $1 AND account = $2),
                  i AS (DELETE FROM invitation WHERE ledger = $1 AND account = $2)
             UPDATE account SET disabled = TRUE WHERE ledger = $1 AND id = $2",
        )
        .bind(self.ledger)
        .bind(id);
        Ok(self.pool.execute(disable).await? > 0)
    }

    async fn note_account(&self, id: Uuid, known: Known) -> Result<()> {
        let note = query("UPDATE account SET known = greatest(known, $3) WHERE ledger = $1 AND id = $2")
            .bind(self.ledger)
            .bind(id)
            .bind(known.number());
        self.pool.execute(note).await.map(|_| ())
    }

    async fn invite(&self, invitation: &InvitationRow) -> Result<()> {
        let invite = query(
            "INSERT INTO invitation (ledger, account, hash, expires) VALUES ($1, $2, $3, $4)
             ON CONFLICT (ledger, account) DO UPDATE SET hash = excluded.hash, expires = excluded.expires",
        )
        .bind(self.ledger)
        .bind(invitation.account)
        .bind(invitation.hash.as_slice())
        .bind(invitation.expires);
        self.pool.execute(invite).await.map(|_| ())
    }

    async fn invitation(&self, hash: &[u8; 32]) -> Result<Option<InvitationRow>> {
        let row = query_as("SELECT hash, account, expires FROM invitation WHERE ledger = $1 AND hash = $2")
            .bind(self.ledger)
            .bind(hash.as_slice());
        self.pool.optional(row).await?.map(columns::invitation).transpose()
    }

    async fn take_up(&self, invitation: &InvitationRow, chosen: &Chosen) -> Result<bool> {
        let mut session = self.pool.session().await?;
        session.begin().await?;
        // Of two that come at once, one waits here for the other, and finds the invitation gone.
        let end = query("DELETE FROM invitation WHERE ledger = $1 AND hash = $2")
            .bind(self.ledger)
            .bind(invitation.hash.as_slice());
        if session.execute(end).await? == 0 {
            return Ok(false);
        }
        let password = match chosen {
            Chosen::Password(hash) => Some(hash.as_str()),
            Chosen::Passkey(_) => None,
        };
        let take = query(
            "WITH s AS (DELETE FROM session WHERE ledger = $1 AND account = $2),
                  p AS (DELETE FROM passkey WHERE ledger = $1 AND account = $2)
             UPDATE account SET password = $3, epoch = epoch + 1 WHERE ledger = $1 AND id = $2",
        )
        .bind(self.ledger)
        .bind(invitation.account)
        .bind(password);
        session.execute(take).await?;
        if let Chosen::Passkey(passkey) = chosen {
            // Of the epoch that began a moment ago.
            if session.execute(adding(self.ledger, passkey, None)).await? == 0 {
                return Ok(false);
            }
        }
        session.commit().await?;
        Ok(true)
    }

    async fn begin_session(&self, session: &SessionRow) -> Result<()> {
        let begin = query(
            "INSERT INTO session (ledger, hash, account, seen, expires, epoch, confirmed)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.ledger)
        .bind(session.hash.as_slice())
        .bind(session.account)
        .bind(session.seen)
        .bind(session.expires)
        .bind(session.epoch)
        .bind(session.confirmed);
        self.pool.execute(begin).await.map(|_| ())
    }

    async fn session(&self, hash: &[u8; 32]) -> Result<Option<SessionRow>> {
        let row = query_as(
            "SELECT hash, account, seen, expires, epoch, confirmed FROM session WHERE ledger = $1 AND hash = $2",
        )
        .bind(self.ledger)
        .bind(hash.as_slice());
        self.pool.optional(row).await?.map(columns::session).transpose()
    }

    async fn see_session(&self, hash: &[u8; 32], seen: i64) -> Result<()> {
        let see = query("UPDATE session SET seen = greatest(seen, $3) WHERE ledger = $1 AND hash = $2")
            .bind(self.ledger)
            .bind(hash.as_slice())
            .bind(seen);
        self.pool.execute(see).await.map(|_| ())
    }

    async fn confirm_session(&self, hash: &[u8; 32], confirmed: i64) -> Result<()> {
        let confirm =
            query("UPDATE session SET confirmed = greatest(confirmed, $3) WHERE ledger = $1 AND hash = $2")
                .bind(self.ledger)
                .bind(hash.as_slice())
                .bind(confirmed);
        self.pool.execute(confirm).await.map(|_| ())
    }

    async fn end_session(&self, hash: &[u8; 32]) -> Result<()> {
        let end = query("DELETE FROM session WHERE ledger = $1 AND hash = $2")
            .bind(self.ledger)
            .bind(hash.as_slice());
        self.pool.execute(end).await.map(|_| ())
    }

    async fn end_outdated(&self, now: i64, idle_since: i64) -> Result<()> {
        let end = query(
            "WITH i AS (DELETE FROM invitation WHERE ledger = $1 AND expires <= $2)
             DELETE FROM session WHERE ledger = $1 AND (expires <= $2 OR seen < $3)",
        )
        .bind(self.ledger)
        .bind(now)
        .bind(idle_since);
        self.pool.execute(end).await.map(|_| ())
    }

    async fn add_passkey(&self, passkey: &PasskeyRow, epoch: i64) -> Result<bool> {
        Ok(self.pool.execute(adding(self.ledger, passkey, Some(epoch))).await? > 0)
    }

    async fn passkey(&self, credential: &str) -> Result<Option<PasskeyRow>> {
        let row = query_as(
            "SELECT credential, account, x, y, label, added, ended FROM passkey
             WHERE ledger = $1 AND credential = $2",
        )
        .bind(self.ledger)
        .bind(credential);
        Ok(self.pool.optional(row).await?.map(columns::passkey))
    }

    async fn passkeys(&self) -> Result<Vec<PasskeyRow>> {
        let rows = query_as(
            "SELECT credential, account, x, y, label, added, ended FROM passkey WHERE ledger = $1 ORDER BY credential",
        )
        .bind(self.ledger);
        Ok(self.pool.all(rows).await?.into_iter().map(columns::passkey).collect())
    }

    async fn passkeys_of(&self, account: Uuid) -> Result<Vec<PasskeyRow>> {
        let rows = query_as(
            "SELECT credential, account, x, y, label, added, ended FROM passkey
             WHERE ledger = $1 AND account = $2 ORDER BY credential",
        )
        .bind(self.ledger)
        .bind(account);
        Ok(self.pool.all(rows).await?.into_iter().map(columns::passkey).collect())
    }

    async fn end_passkey(&self, account: Uuid, credential: &str) -> Result<bool> {
        let end =
            query("UPDATE passkey SET ended = TRUE WHERE ledger = $1 AND account = $2 AND credential = $3")
                .bind(self.ledger)
                .bind(account)
                .bind(credential);
        Ok(self.pool.execute(end).await? > 0)
    }

    async fn forget_passkey(&self, credential: &str) -> Result<()> {
        let forget = query("DELETE FROM passkey WHERE ledger = $1 AND credential = $2 AND ended")
            .bind(self.ledger)
            .bind(credential);
        self.pool.execute(forget).await.map(|_| ())
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Adds a passkey, if its account can be logged in to and is of that epoch, where one is given.
fn adding(ledger: i16, passkey: &PasskeyRow, epoch: Option<i64>) -> Query<'_> {
    query(
        "INSERT INTO passkey (ledger, credential, account, x, y, label, added)
         SELECT $1, $2, $3, $4, $5, $6, $7
         WHERE EXISTS (SELECT 1 FROM account WHERE ledger = $1 AND id = $3 AND epoch = coalesce($8, epoch) AND NOT disabled)
         ON CONFLICT DO NOTHING",
    )
    .bind(ledger)
    .bind(passkey.credential.as_str())
    .bind(passkey.account)
    .bind(passkey.x.as_str())
    .bind(passkey.y.as_str())
    .bind(passkey.label.as_str())
    .bind(passkey.added)
    .bind(epoch)
}
