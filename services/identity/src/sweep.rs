//! What is done now and then: the record is told of what was given or taken back on the server's command line, and of
//! failed attempts to log in; what is outdated ends; and what is known of the provider is kept fresh.

use std::time::Duration;

use trialseal_runtime::shutdown::Shutdown;
use trialseal_store::Known;

use crate::Identity;
use crate::grants::{By, Grant};

/// How often.
const PAUSE: Duration = Duration::from_mins(1);

/// The reason that stands for what was taken back by somebody who is not known here.
const ON_THE_SERVER: &str = "Taken back by a command on the server";

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Identity {
    /// Goes on until the process is asked to end; a role of its own.
    pub async fn run(&self, shutdown: Shutdown) {
        loop {
            if let Some(provider) = &self.parts.provider {
                provider.keep();
            }
            if let Err(error) = self.sweep().await {
                tracing::error!(%error, "identity.sweep");
            }
            if !shutdown.pause(PAUSE).await {
                break;
            }
        }
        if let Err(error) = self.record_failures().await {
            tracing::error!(%error, "identity.sweep");
        }
    }

    pub(crate) async fn sweep(&self) -> Result<(), Failed> {
        self.record_failures().await?;
        self.end_outdated().await?;
        for row in self.parts.tokens.tokens().await? {
            if row.known == Known::Not {
                self.introduce_token(&row).await?;
            }
            if row.revoked && row.known != Known::Revoked {
                self.record_revoked(row.id, ON_THE_SERVER, &By::service()).await?;
                self.parts.tokens.note_token(&row.hash, Known::Revoked).await?;
            }
        }
        self.tell_of_ended_passkeys().await?;
        for row in self.parts.accounts.accounts().await? {
            if row.known == Known::Not {
                self.record_granted(Grant::of_account(&row)?, &By::service()).await?;
                self.parts.accounts.note_account(row.id, Known::Granted).await?;
            }
            if row.disabled && row.known != Known::Revoked {
                self.record_revoked(row.id, ON_THE_SERVER, &By::service()).await?;
                self.parts.accounts.note_account(row.id, Known::Revoked).await?;
            } else if row.withdrawn && row.known != Known::Revoked {
                self.tell_of_withdrawn(row.id).await?;
            }
        }
        Ok(())
    }

    async fn tell_of_ended_passkeys(&self) -> Result<(), Failed> {
        let accounts = &self.parts.accounts;
        for passkey in accounts.passkeys().await?.iter().filter(|passkey| passkey.ended) {
            if let Some(account) = accounts.account(passkey.account).await? {
                self.tell_of_removed(&account, passkey).await?;
            }
        }
        Ok(())
    }
}
