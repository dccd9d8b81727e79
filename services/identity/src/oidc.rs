//! People whom an OpenID Connect provider vouches for: what is believed of it, and which of its claims give which role.

mod claims;
mod config;
mod fetch;
mod keys;
mod people;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value};
use trialseal_access::http::{Refused, Unavailable};
use trialseal_runtime::client::Authorities;
use trialseal_runtime::clock::Clock;
use zeroize::Zeroizing;

pub(crate) use claims::Use;
pub use config::{InvalidOidc, OidcConfig, Rule};
pub(crate) use fetch::{Fetch, Http};

/// What a token says, by claim.
pub(crate) type Claims = Map<String, Value>;

/// A provider.
pub struct Provider {
    pub(crate) config: OidcConfig,
    keys: keys::Keys,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    /// Held while the role of somebody is changed, so that it is recorded once.
    moving: tokio::sync::Mutex<()>,
}

/// Why a token of the provider's leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotVouched {
    Refused(Refused),
    Unavailable(Unavailable),
}

impl From<Refused> for NotVouched {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Unavailable> for NotVouched {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl Provider {
    /// The provider that a configuration names, believed where these authorities vouch for its name. Nothing is asked of it before somebody comes with its word.
    pub fn new(config: OidcConfig, authorities: &Authorities, clock: Arc<dyn Clock>) -> Self {
        Self::asked_by(config, clock, Arc::new(Http::new(authorities)))
    }

    /// Where its doors are.
    pub(crate) async fn found(&self) -> Result<Arc<keys::Found>, Unavailable> {
        self.keys.found().await
    }

    /// Sees that what is known of it does not grow old.
    pub(crate) fn keep(&self) {
        self.keys.keep();
    }

    /// Sends it a form; answers with status and body.
    pub(crate) async fn post(
        &self,
        url: &str,
        authorization: Option<Zeroizing<String>>,
        form: Zeroizing<String>,
    ) -> Result<(u16, Zeroizing<String>), String> {
        self.fetch.post(url, authorization, form).await
    }

    pub(crate) fn asked_by(config: OidcConfig, clock: Arc<dyn Clock>, fetch: Arc<dyn Fetch>) -> Self {
        let keys = keys::Keys::new(config.issuer.clone(), Arc::clone(&fetch), Arc::clone(&clock));
        Self { config, keys, fetch, clock, moving: tokio::sync::Mutex::default() }
    }
}
