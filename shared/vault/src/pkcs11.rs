//! The key-management back end whose master key lies on a PKCS#11 token (OASIS, version 2.40 and later): an HSM, or software
//! that stands in for one. The key is made there and cannot be had from it; what it wraps, it wraps there.
//!
//! A token has one key of a ledger, or two while one takes the place of the other. Each carries the number of its generation,
//! which tells the successor from the former one whatever process looks, and whenever the last one ended. The former key's
//! end is that of the object on the token.

mod link;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use std::{fmt, mem};

use async_trait::async_trait;
use cryptoki::types::AuthPin;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::keys::KeyManagement;
use link::{KeyId, Link};

/// How long whoever needs the token waits for it: about as long as for a database.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a token is, and what opens it.
#[derive(Debug, Clone)]
pub struct Token {
    module: PathBuf,
    label: String,
    /// Wiped when dropped, and not shown by `Debug`.
    pin: AuthPin,
}

impl Token {
    /// The token of this label, by the library (the "module") that its maker gives out, with the PIN of its user.
    pub fn new(module: PathBuf, label: String, pin: &Zeroizing<String>) -> Self {
        Self { module, label, pin: AuthPin::new(pin.as_str().into()) }
    }
}

/// A master key on a PKCS#11 token.
pub struct MasterKeyToken {
    /// One session is enough, and calls wait for the token: whoever is next waits here, and takes no thread for it.
    link: Arc<Mutex<Link>>,
    ids: Arc<RwLock<Ids>>,
}

/// The keys that were there when one was last made or destroyed.
#[derive(Clone, Copy)]
struct Ids {
    current: KeyId,
    former: Option<KeyId>,
}

impl MasterKeyToken {
    /// Opens the key of the ledger `origin`, and makes it first where the token has none.
    pub async fn open_or_create(token: Token, origin: &str) -> Result<Self, VaultError> {
        Self::with(token, origin, Link::make_missing).await
    }

    /// Opens the key of the ledger `origin`. Makes none: it would not open what the missing one wrapped.
    pub async fn open(token: Token, origin: &str) -> Result<Self, VaultError> {
        Self::with(token, origin, Link::keys).await
    }

    /// Whether a master key with this id lies on a token.
    pub fn is_of_a_token(id: &str) -> bool {
        KeyId::parse(id).is_some()
    }

    async fn with(
        token: Token,
        origin: &str,
        look: fn(&mut Link) -> Result<Vec<KeyId>, VaultError>,
    ) -> Result<Self, VaultError> {
        let origin = origin.to_owned();
        let (link, ids) = blocking(move || {
            let mut link = Link::load(token, &origin)?;
            let keys = look(&mut link)?;
            let ids = Ids::of(&keys).ok_or_else(|| link.problem("has no master key of this ledger"))?;
            Ok((link, ids))
        })
        .await?;
        let link = Arc::new(Mutex::new(link));
        // Library and session are there until the process is gone. Some thread that served a request may be the last to let go of
        // the vault, and end while the process does: what the library is asked then, it crashes on.
        mem::forget(Arc::clone(&link));
        Ok(Self { link, ids: Arc::new(RwLock::new(ids)) })
    }

    /// Works on the token, on a thread where waiting harms nobody. It goes on to its end though nobody waits for it any more.
    async fn on_token<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Link) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let link = Arc::clone(&self.link);
        let work = async move {
            let mut link = link.lock_owned().await;
            blocking(move || work(&mut link)).await
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
            let problem = format!("the PKCS#11 token does not answer within {} s", PATIENCE.as_secs());
            Err(VaultError::Management(problem))
        })
    }

    /// Changes which keys are there.
    async fn change(
        &self,
        work: impl FnOnce(&mut Link) -> Result<Vec<KeyId>, VaultError> + Send + 'static,
    ) -> Result<(), VaultError> {
        let known = Arc::clone(&self.ids);
        self.on_token(move |link| {
            let keys = work(link)?;
            let ids = Ids::of(&keys).ok_or_else(|| link.problem("has lost the master key of this ledger"))?;
            *known.write().unwrap_or_else(PoisonError::into_inner) = ids;
            Ok(())
        })
        .await
    }

    /// The ids, also after a panic elsewhere: they are changed in one step.
    fn ids(&self) -> Ids {
        *self.ids.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    /// Of one key, or of two with the oldest first.
    fn of(keys: &[KeyId]) -> Option<Self> {
        let (current, former) = keys.split_last()?;
        Some(Self { current: *current, former: former.last().copied() })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        Err(VaultError::Management("the call of the PKCS#11 module broke off".to_owned()))
    })
}

#[async_trait]
impl KeyManagement for MasterKeyToken {
    fn id(&self) -> String {
        self.ids().current.to_string()
    }

    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<(String, Vec<u8>), VaultError> {
        let (id, context, key) = (self.ids().current, context.to_vec(), Zeroizing::new(*key));
        let wrapped = self.on_token(move |link| link.wrap(id, &context, &key)).await?;
        Ok((id.to_string(), wrapped))
    }

    async fn unwrap(
        &self,
        master: &str,
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
        let Some(id) = KeyId::parse(master) else { return Ok(None) };
        let (context, wrapped) = (context.to_vec(), wrapped.to_vec());
        self.on_token(move |link| link.unwrap(id, &context, &wrapped)).await
    }

    async fn succeed(&self) -> Result<(), VaultError> {
        self.change(Link::succeed).await
    }

    fn former_id(&self) -> Option<String> {
        self.ids().former.map(|id| id.to_string())
    }

    async fn destroy_former(&self) -> Result<(), VaultError> {
        match self.ids().former {
            Some(former) => self.change(move |link| link.destroy_former(former)).await,
            None => Ok(()),
        }
    }
}

impl fmt::Debug for MasterKeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKeyToken").field("id", &self.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::softhsm::{softhsm_tests, token};

    softhsm_tests! {
        nobody_waits_for_ever
    }

    async fn nobody_waits_for_ever() {
        let master = MasterKeyToken::open_or_create(token(), "ledger.example.org/main").await.unwrap();
        let hangs = master.link.lock().await;
        tokio::time::pause();
        let error = master.wrap(b"context", &[9; 32]).await.unwrap_err().to_string();
        assert!(error.ends_with("the PKCS#11 token does not answer within 10 s"), "{error}");
        drop(hangs);
        tokio::time::resume();
        master.wrap(b"context", &[9; 32]).await.unwrap();
    }
}
