//! The provider's discovery document (OpenID Connect Discovery 1.0) and its keys (RFC 7517), kept for a while.
//!
//! A key that is not known is asked for, though no more often than every ten seconds, whoever shows how many tokens. What is
//! known is asked for anew after an hour, and nobody waits for that. While the provider cannot be reached, what is known goes
//! on to count for a day: a key may have been withdrawn that nobody here has heard of, and whoever keeps the provider from
//! being asked does not do so for ever.

use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use trialseal_access::http::Unavailable;
use trialseal_runtime::clock::Clock;

use super::config::is_safe;
use super::fetch::Fetch;

/// After so long what is known is asked for anew, microseconds: an hour.
const FRESH_MICROS: i64 = 3_600_000_000;
/// After so long what is known does not count any more, microseconds: a day.
const OLD_MICROS: i64 = 86_400_000_000;
/// Time between two questions at the least, microseconds.
const PAUSE_MICROS: i64 = 10_000_000;
/// Keys that are looked at.
const MAX_KEYS: usize = 100;

/// Where the provider's doors are.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Discovery {
    issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    jwks_uri: String,
}

/// What is known of a provider.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) discovery: Discovery,
    keys: Vec<Jwk>,
    at: i64,
}

/// The provider's doors and keys.
pub(crate) struct Keys(Arc<Parts>);

struct Parts {
    issuer: String,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    found: RwLock<Option<Arc<Found>>>,
    /// When it was last asked, and whether in vain.
    asked: Mutex<Option<(i64, bool)>>,
}

impl Keys {
    pub(crate) fn new(issuer: String, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Parts { issuer, fetch, clock, found: RwLock::default(), asked: Mutex::default() }))
    }

    /// What is known of the provider, asked for where it is not known, or too old to count.
    pub(crate) async fn found(&self) -> Result<Arc<Found>, Unavailable> {
        let parts = &self.0;
        let now = parts.clock.now();
        if let Some(found) = parts.known().filter(|found| now - found.at < OLD_MICROS) {
            if now - found.at >= FRESH_MICROS {
                self.ask_meanwhile(found.at);
            }
            return Ok(found);
        }
        parts.ask(now - OLD_MICROS).await?;
        let found = parts.known().filter(|found| now - found.at < OLD_MICROS);
        found.ok_or_else(|| Unavailable("the provider has not answered yet".into()))
    }

    /// Has what is known asked for anew where it is old, whether or not anybody comes: else the first one who does in the
    /// morning would be let in by the keys of the evening.
    pub(crate) fn keep(&self) {
        if let Some(found) = self.0.known().filter(|found| self.0.clock.now() - found.at >= FRESH_MICROS) {
            self.ask_meanwhile(found.at);
        }
    }

    /// Asks the provider for what is newer than `than` while others go on, unless somebody is asking.
    fn ask_meanwhile(&self, than: i64) {
        if self.0.asked.try_lock().is_ok() {
            let parts = Arc::clone(&self.0);
            // Whether it could be reached is logged; there is nobody else to tell.
            tokio::spawn(async move { drop(parts.ask(than).await) });
        }
    }

    /// The key with this id, or, without one, the only one for the algorithm. `None` where the provider has none such.
    ///
    /// # Errors
    /// Where it is not known, and the provider cannot be asked.
    pub(crate) async fn key(&self, kid: Option<&str>, algorithm: &str) -> Result<Option<Jwk>, Unavailable> {
        let found = self.found().await?;
        if let Some(key) = found.key(kid, algorithm) {
            return Ok(Some(key));
        }
        self.0.ask(found.at).await?;
        Ok(self.0.known().and_then(|found| found.key(kid, algorithm)))
    }
}

impl Parts {
    fn known(&self) -> Option<Arc<Found>> {
        self.found.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the provider, unless what is known is newer than `than`, or it has just been asked.
    async fn ask(&self, than: i64) -> Result<(), Unavailable> {
        let mut asked = self.asked.lock().await;
        if self.known().is_some_and(|found| found.at > than) {
            return Ok(());
        }
        let now = self.clock.now();
        let unreachable = || Unavailable("the provider could not be reached".into());
        if let Some((at, in_vain)) = *asked
            && (0..PAUSE_MICROS).contains(&(now - at))
        {
            return if in_vain { Err(unreachable()) } else { Ok(()) };
        }
        // Whoever no longer waits for the answer has asked all the same.
        *asked = Some((now, true));
        let read = self.read(now).await;
        *asked = Some((now, read.is_err()));
        let outcome = if read.is_ok() { "read" } else { "failed" };
        metrics::counter!("trialseal_oidc_discoveries_total", "outcome" => outcome).increment(1);
        match read {
            Ok(found) => {
                *self.found.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(found));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "identity.provider.discover");
                Err(unreachable())
            }
        }
    }

    async fn read(&self, now: i64) -> Result<Found, String> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document = self.fetch.get(&url).await?;
        let discovery: Discovery =
            serde_json::from_str(&document).map_err(|_| "its discovery document lacks what is needed")?;
        // OpenID Connect Discovery 1.0 section 4.3.
        if discovery.issuer != self.issuer {
            return Err("its discovery document names another issuer".into());
        }
        let doors = [&discovery.authorization_endpoint, &discovery.token_endpoint, &discovery.jwks_uri];
        if !doors.into_iter().all(|url| is_safe(url)) {
            return Err("its discovery document names an address without TLS".into());
        }
        let set: Value = serde_json::from_str(&self.fetch.get(&discovery.jwks_uri).await?)
            .map_err(|_| "its keys are no JSON")?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("its keys are no set of keys")?;
        // Keys of kinds that are not known here are passed over (RFC 7517 section 5).
        let read = keys.iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key.clone()).ok());
        Ok(Found { discovery, keys: read.collect(), at: now })
    }
}

impl Found {
    fn key(&self, kid: Option<&str>, algorithm: &str) -> Option<Jwk> {
        let mut fitting = self.keys.iter().filter(|key| fits(key, algorithm));
        let Some(kid) = kid else {
            let only = fitting.next();
            return only.filter(|_| fitting.next().is_none()).cloned();
        };
        fitting.find(|key| key.common.key_id.as_deref() == Some(kid)).cloned()
    }
}

/// Whether a key is one for verifying signatures of this algorithm: the header of a token does not choose what a key is
/// used for (RFC 8725 section 3.1).
fn fits(key: &Jwk, algorithm: &str) -> bool {
    let of_kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), "RS256" | "PS256") => true,
        (AlgorithmParameters::EllipticCurve(key), "ES256") => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::OctetKeyPair(key), "EdDSA") => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let signs = key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let same = key.common.key_algorithm.is_none_or(|own| own.to_string() == algorithm);
    of_kind && signs && same
}
