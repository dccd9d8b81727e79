//! Who people and systems are: bearer tokens, accounts with passwords and passkeys, logins at an OpenID Connect provider, sessions of
//! browsers; and the record of who was given which role, when it was taken back, and who tried to get in in vain.
//!
//! What it is not: the place that says what a role may do; that is `access`, for the doors of the service, and `record`,
//! for what may be recorded. Passwords and the provider's secret are seen here and nowhere else, and neither they nor tokens
//! nor links are stored or logged.
//!
//! **Architecture invariant:** the record is told of a grant before it is used for the first time, however it was given.
//!
//! To add a way to log in: a module that ends in `Identity::begin_session` of an account, and its page under `http/`.

mod accounts;
mod attempts;
mod failures;
mod forms;
mod grants;
mod holders;
mod http;
mod login;
mod oidc;
mod passkeys;
mod password;
mod problems;
mod sessions;
mod sweep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use trialseal_access::http::{SECURE_SESSION_COOKIE, SESSION_COOKIE};
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_store::{Accounts, Events, Tokens, Writer};
use trialseal_vault::Vault;

pub use accounts::{InvalidAccount, Invited, NewAccount, first_administrator, invitation_for};
pub use holders::StoredHolders;
pub use http::{PAGES, routes};
pub use oidc::{InvalidOidc, OidcConfig, Provider, Rule};
pub use tokens::{InvalidGrant, NewToken};

/// What identities are made of.
pub struct IdentityParts {
    /// Bearer tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Accounts, invitations, sessions and passkeys.
    pub accounts: Arc<dyn Accounts>,
    /// The record, to tell who had access.
    pub events: Arc<dyn Events>,
    /// Where grants are recorded.
    pub writer: Writer,
    /// Keys of the record's data.
    pub vault: Arc<Vault>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and random bytes.
    pub ids: Arc<dyn Ids>,
    /// Where people reach the service: scheme and host, without a slash at the end.
    pub address: Option<String>,
    /// Who else vouches for people.
    pub provider: Option<Provider>,
    /// Proxies that are believed about whom they forward for.
    pub proxies: Vec<IpAddr>,
}

/// The identities of one ledger.
pub struct Identity {
    parts: IdentityParts,
    passwords: password::Passwords,
    attempts: attempts::Attempts,
    failures: failures::Failures,
    challenges: passkeys::Challenges,
}

impl Identity {
    /// Identities made of `parts`.
    pub fn new(parts: IdentityParts) -> Self {
        let passwords = password::Passwords::new(parts.ids.as_ref());
        Self {
            parts,
            passwords,
            attempts: attempts::Attempts::default(),
            failures: failures::Failures::default(),
            challenges: passkeys::Challenges::default(),
        }
    }

    /// Whether browsers come by https.
    fn is_secure(&self) -> bool {
        self.parts.address.as_deref().is_some_and(|address| address.starts_with("https://"))
    }

    /// The name of the cookie that sessions have.
    fn session_cookie(&self) -> &'static str {
        if self.is_secure() { SECURE_SESSION_COOKIE } else { SESSION_COOKIE }
    }

    fn random_token(&self) -> trialseal_access::Token {
        let mut random = [0; 32];
        self.parts.ids.fill(&mut random);
        trialseal_access::Token::generate(&random)
    }

    /// A random id, which tells nothing, not even when it was made.
    fn random_uuid(&self) -> uuid::Uuid {
        let mut bytes = [0; 16];
        self.parts.ids.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}
