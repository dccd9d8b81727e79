//! Accounts of people, invitations, sessions and passkeys.

use async_trait::async_trait;
use trialseal_store::{
    AccountRow, Accounts, Chosen, InvitationRow, Known, PasskeyRow, SessionRow, StoreError, columns,
};
use uuid::Uuid;

use crate::SqliteStore;
use crate::error::failed;

type Result<T, E = StoreError> = std::result::Result<T, E>;

#[async_trait]
impl Accounts for SqliteStore {
    async fn add_account(&self, account: &AccountRow) -> Result<bool> {
        let (issuer, subject) = account.subject.clone().unzip();
        let added = sqlx::query(
            "INSERT INTO account (ledger, id, login, issuer, subject, actor, role, organisation, trials, password, disabled,
                 known, issued, participant)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING",
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
        .bind(account.participant.map(|participant| participant.0))
        .execute(&self.writer)
        .await;
        Ok(added.map_err(failed)?.rows_affected() > 0)
    }

    async fn add_first_administrator(&self, account: &AccountRow) -> Result<bool> {
        // A statement that writes holds the file's lock from its beginning, also against other processes.
        let added = sqlx::query(
            "INSERT INTO account (ledger, id, login, actor, role, organisation, trials)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE NOT EXISTS (SELECT 1 FROM account WHERE ledger = ?1 AND role = 'admin')
             ON CONFLICT DO NOTHING",
        )
        .bind(self.ledger)
        .bind(account.id)
        .bind(account.login.as_deref())
        .bind(account.actor.as_str())
        .bind(account.role.as_str())
        .bind(account.organisation.as_str())
        .bind(columns::trials_column(account.trials.as_deref()))
        .execute(&self.writer)
        .await;
        Ok(added.map_err(failed)?.rows_affected() > 0)
    }

    async fn account(&self, id: Uuid) -> Result<Option<AccountRow>> {
        let row = sqlx::query_as(
            "SELECT id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known,
                    issued, withdrawn, epoch, participant
             FROM account WHERE ledger = ?1 AND id = ?2",
        )
        .bind(self.ledger)
        .bind(id)
        .fetch_optional(&self.readers)
        .await;
        row.map_err(failed)?.map(columns::account).transpose()
    }

    async fn account_of_login(&self, login: &str) -> Result<Option<AccountRow>> {
        let row = sqlx::query_as(
            "SELECT id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known,
                    issued, withdrawn, epoch, participant
             FROM account WHERE ledger = ?1 AND login = ?2",
        )
        .bind(self.ledger)
        .bind(login)
        .fetch_optional(&self.readers)
        .await;
        row.map_err(failed)?.map(columns::account).transpose()
    }

    async fn account_of_subject(&self, issuer: &str, subject: &str) -> Result<Option<AccountRow>> {
        let row = sqlx::query_as(
            "SELECT id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known,
                    issued, withdrawn, epoch, participant
             FROM account WHERE ledger = ?1 AND issuer = ?2 AND subject = ?3",
        )
        .bind(self.ledger)
        .bind(issuer)
        .bind(subject)
        .fetch_optional(&self.readers)
        .await;
        row.map_err(failed)?.map(columns::account).transpose()
    }

    async fn accounts(&self) -> Result<Vec<AccountRow>> {
        let rows = sqlx::query_as(
            "SELECT id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known,
                    issued, withdrawn, epoch, participant
             FROM account WHERE ledger = ?1 ORDER BY id",
        )
        .bind(self.ledger)
        .fetch_all(&self.readers)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::account).collect()
    }

    async fn move_account(&self, account: &AccountRow) -> Result<()> {
        sqlx::query(
            "UPDATE account SET role = ?3, organisation = ?4, trials = ?5, issued = ?6, withdrawn = FALSE, known = ?7
             WHERE ledger = ?1 AND id = ?2",
        )
        .bind(self.ledger)
        .bind(account.id)
        .bind(account.role.as_str())
        .bind(account.organisation.as_str())
        .bind(columns::trials_column(account.trials.as_deref()))
        .bind(account.issued)
        .bind(Known::Granted.number())
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn confirm_account(&self, id: Uuid, issued: i64) -> Result<()> {
        sqlx::query("UPDATE account SET issued = max(issued, ?3) WHERE ledger = ?1 AND id = ?2")
            .bind(self.ledger)
            .bind(id)
            .bind(issued)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn withdraw_account(&self, id: Uuid, issued: i64) -> Result<()> {
        let mut tx = self.writer.begin().await.map_err(failed)?;
        sqlx::query(
            "UPDATE account SET withdrawn = TRUE, issued = ?3, epoch = epoch + 1 WHERE ledger = ?1 AND id = ?2",
        )
        .bind(self.ledger)
        .bind(id)
        .bind(issued)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        sqlx::query("DELETE FROM session WHERE ledger = ?1 AND account = ?2")
            .bind(self.ledger)
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    async fn change_password(&self, id: Uuid, old: &str, new: &str) -> Result<bool> {
        let changed =
            sqlx::query("UPDATE account SET password = ?4 WHERE ledger = ?1 AND id = ?2 AND password = ?3")
                .bind(self.ledger)
                .bind(id)
                .bind(old)
                .bind(new)
                .execute(&self.writer)
                .await;
        Ok(changed.map_err(failed)?.rows_affected() > 0)
    }

    async fn disable_account(&self, id: Uuid) -> Result<bool> {
        let mut tx = self.writer.begin().await.map_err(failed)?;
        let disabled = sqlx::query("UPDATE account SET disabled = TRUE WHERE ledger = ?1 AND id = ?2")
            .bind(self.ledger)
            .bind(id)
            .execute(&mut *tx)
            .await;
        let disabled = disabled.map_err(failed)?.rows_affected() > 0;
        for end in [
            "DELETE FROM session WHERE ledger = ?1 AND account = ?2",
            "DELETE FROM invitation WHERE ledger = ?1 AND account = ?2",
        ] {
            sqlx::query(end).bind(self.ledger).bind(id).execute(&mut *tx).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(disabled)
    }

    async fn note_account(&self, id: Uuid, known: Known) -> Result<()> {
        sqlx::query("UPDATE account SET known = max(known, ?3) WHERE ledger = ?1 AND id = ?2")
            .bind(self.ledger)
            .bind(id)
            .bind(known.number())
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn invite(&self, invitation: &InvitationRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO invitation (ledger, account, hash, expires) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (ledger, account) DO UPDATE SET hash = excluded.hash, expires = excluded.expires",
        )
        .bind(self.ledger)
        .bind(invitation.account)
        .bind(invitation.hash.as_slice())
        .bind(invitation.expires)
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn invitation(&self, hash: &[u8; 32]) -> Result<Option<InvitationRow>> {
        let row =
            sqlx::query_as("SELECT hash, account, expires FROM invitation WHERE ledger = ?1 AND hash = ?2")
                .bind(self.ledger)
                .bind(hash.as_slice())
                .fetch_optional(&self.readers)
                .await;
        row.map_err(failed)?.map(columns::invitation).transpose()
    }

    async fn take_up(&self, invitation: &InvitationRow, chosen: &Chosen) -> Result<bool> {
        let mut tx = self.writer.begin().await.map_err(failed)?;
        let taken = sqlx::query("DELETE FROM invitation WHERE ledger = ?1 AND hash = ?2")
            .bind(self.ledger)
            .bind(invitation.hash.as_slice())
            .execute(&mut *tx)
            .await;
        if taken.map_err(failed)?.rows_affected() == 0 {
            return Ok(false);
        }
        let password = match chosen {
            Chosen::Password(hash) => Some(hash.as_str()),
            Chosen::Passkey(_) => None,
        };
        sqlx::query("UPDATE account SET password = ?3, epoch = epoch + 1 WHERE ledger = ?1 AND id = ?2")
            .bind(self.ledger)
            .bind(invitation.account)
            .bind(password)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        for end in [
            "DELETE FROM session WHERE ledger = ?1 AND account = ?2",
            "DELETE FROM passkey WHERE ledger = ?1 AND account = ?2",
        ] {
            let ended = sqlx::query(end).bind(self.ledger).bind(invitation.account).execute(&mut *tx).await;
            ended.map_err(failed)?;
        }
        if let Chosen::Passkey(passkey) = chosen {
            // Of the epoch that began a moment ago.
            let add = adding(self.ledger, passkey, None).execute(&mut *tx).await;
            if add.map_err(failed)?.rows_affected() == 0 {
                return Ok(false);
            }
        }
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn begin_session(&self, session: &SessionRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO session (ledger, hash, account, seen, expires, epoch, confirmed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(self.ledger)
        .bind(session.hash.as_slice())
        .bind(session.account)
        .bind(session.seen)
        .bind(session.expires)
        .bind(session.epoch)
        .bind(session.confirmed)
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn session(&self, hash: &[u8; 32]) -> Result<Option<SessionRow>> {
        let row = sqlx::query_as(
            "SELECT hash, account, seen, expires, epoch, confirmed FROM session WHERE ledger = ?1 AND hash = ?2",
        )
        .bind(self.ledger)
        .bind(hash.as_slice())
        .fetch_optional(&self.readers)
        .await;
        row.map_err(failed)?.map(columns::session).transpose()
    }

    async fn see_session(&self, hash: &[u8; 32], seen: i64) -> Result<()> {
        sqlx::query("UPDATE session SET seen = max(seen, ?3) WHERE ledger = ?1 AND hash = ?2")
            .bind(self.ledger)
            .bind(hash.as_slice())
            .bind(seen)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn confirm_session(&self, hash: &[u8; 32], confirmed: i64) -> Result<()> {
        sqlx::query("UPDATE session SET confirmed = max(confirmed, ?3) WHERE ledger = ?1 AND hash = ?2")
            .bind(self.ledger)
            .bind(hash.as_slice())
            .bind(confirmed)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn end_session(&self, hash: &[u8; 32]) -> Result<()> {
        sqlx::query("DELETE FROM session WHERE ledger = ?1 AND hash = ?2")
            .bind(self.ledger)
            .bind(hash.as_slice())
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn end_outdated(&self, now: i64, idle_since: i64) -> Result<()> {
        sqlx::query("DELETE FROM session WHERE ledger = ?1 AND (expires <= ?2 OR seen < ?3)")
            .bind(self.ledger)
            .bind(now)
            .bind(idle_since)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        sqlx::query("DELETE FROM invitation WHERE ledger = ?1 AND expires <= ?2")
            .bind(self.ledger)
            .bind(now)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn add_passkey(&self, passkey: &PasskeyRow, epoch: i64) -> Result<bool> {
        let added = adding(self.ledger, passkey, Some(epoch)).execute(&self.writer).await;
        Ok(added.map_err(failed)?.rows_affected() > 0)
    }

    async fn passkey(&self, credential: &str) -> Result<Option<PasskeyRow>> {
        let row = sqlx::query_as(
            "SELECT credential, account, x, y, label, added, ended FROM passkey
             WHERE ledger = ?1 AND credential = ?2",
        )
        .bind(self.ledger)
        .bind(credential)
        .fetch_optional(&self.readers)
        .await;
        Ok(row.map_err(failed)?.map(columns::passkey))
    }

    async fn passkeys(&self) -> Result<Vec<PasskeyRow>> {
        let rows = sqlx::query_as(
            "SELECT credential, account, x, y, label, added, ended FROM passkey WHERE ledger = ?1 ORDER BY credential",
        )
        .bind(self.ledger)
        .fetch_all(&self.readers)
        .await;
        Ok(rows.map_err(failed)?.into_iter().map(columns::passkey).collect())
    }

    async fn passkeys_of(&self, account: Uuid) -> Result<Vec<PasskeyRow>> {
        let rows = sqlx::query_as(
            "SELECT credential, account, x, y, label, added, ended FROM passkey
             WHERE ledger = ?1 AND account = ?2 ORDER BY credential",
        )
        .bind(self.ledger)
        .bind(account)
        .fetch_all(&self.readers)
        .await;
        Ok(rows.map_err(failed)?.into_iter().map(columns::passkey).collect())
    }

    async fn end_passkey(&self, account: Uuid, credential: &str) -> Result<bool> {
        let ended = sqlx::query(
            "UPDATE passkey SET ended = TRUE WHERE ledger = ?1 AND account = ?2 AND credential = ?3",
        )
        .bind(self.ledger)
        .bind(account)
        .bind(credential)
        .execute(&self.writer)
        .await;
        Ok(ended.map_err(failed)?.rows_affected() > 0)
    }

    async fn forget_passkey(&self, credential: &str) -> Result<()> {
        sqlx::query("DELETE FROM passkey WHERE ledger = ?1 AND credential = ?2 AND ended")
            .bind(self.ledger)
            .bind(credential)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// Adds a passkey, if its account can be logged in to and is of that epoch, where one is given.
fn adding(ledger: i64, passkey: &PasskeyRow, epoch: Option<i64>) -> Query<'_> {
    sqlx::query(
        "INSERT INTO passkey (ledger, credential, account, x, y, label, added)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
         WHERE EXISTS (SELECT 1 FROM account WHERE ledger = ?1 AND id = ?3 AND epoch = coalesce(?8, epoch) AND NOT disabled)
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
