//! Where the master key lies: in a file, or on a PKCS#11 token; and moving it from the one to the other.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use trialseal_runtime::settings::{Settings, TokenSettings};
use trialseal_store::Store;
use trialseal_vault::{DataKeys, KeyManagement, MasterKeyFile, MasterKeyToken, MovedMasterKey, Token, Vault};
use zeroize::Zeroizing;

use crate::key_store;

/// Whether the master key lies in a file still, and is to lie on a token.
pub(crate) fn is_to_be_moved(settings: &Settings) -> bool {
    settings.token.is_some() && settings.master_key_file.exists()
}

/// Opens the vault. A master key is made for a ledger that `is_new` alone, and one in a file is moved where there is a token: to
/// be called by nobody else than the process that serves where it [is to be](is_to_be_moved).
pub(crate) async fn open_vault(
    settings: &Settings,
    store: &dyn Store,
    keys: Arc<dyn DataKeys>,
    is_new: bool,
) -> Result<Vault> {
    let file = &settings.master_key_file;
    let is_on_a_token = keys.master_key().await?.is_some_and(|id| MasterKeyToken::is_of_a_token(&id));
    let Some(token) = &settings.token else {
        if is_on_a_token {
            bail!(
                "the master key of this ledger lies on a PKCS#11 token: set TRIALSEAL_PKCS11_MODULE, \
                 TRIALSEAL_PKCS11_TOKEN and TRIALSEAL_PKCS11_PIN_FILE"
            );
        }
        let master = if is_new { MasterKeyFile::open_or_create(file)? } else { MasterKeyFile::open(file)? };
        return key_store::open_vault(store, keys, Arc::new(master)).await;
    };
    // Where the ledger needs the file, it has to be there: a new key on the token would open nothing.
    let is_in_the_file = !is_new && !is_on_a_token;
    if is_in_the_file && MasterKeyFile::open(file)?.former_id().is_some() {
        // A renewal that was broken off ends first: each has one former key.
        let master = Arc::new(MasterKeyFile::open(file)?);
        key_store::open_vault(store, Arc::clone(&keys), master).await?.renew_master_key().await?;
    }
    let master = open_token(token, store.origin(), !is_on_a_token).await?;
    if file.exists() {
        move_keys(file, &master, store, &keys).await?;
    }
    key_store::open_vault(store, keys, master).await
}

/// Wraps all keys under the master key on the token, and destroys the file. Broken off anywhere, the next start finds the file
/// and goes on.
async fn move_keys(
    file: &Path,
    master: &Arc<dyn KeyManagement>,
    store: &dyn Store,
    keys: &Arc<dyn DataKeys>,
) -> Result<()> {
    let moved = MovedMasterKey::new(MasterKeyFile::open(file)?, Arc::clone(master));
    let vault = key_store::open_vault(store, Arc::clone(keys), Arc::new(moved)).await?;
    let count = vault.renew_master_key().await?;
    tracing::info!(count, file = %file.display(), master_key = master.id(), "server.master_key.moved");
    Ok(())
}

async fn open_token(settings: &TokenSettings, origin: &str, or_make: bool) -> Result<Arc<dyn KeyManagement>> {
    let TokenSettings { module, label, pin_file } = settings;
    let token = Token::new(module.clone(), label.clone(), &pin(pin_file)?);
    let opened = if or_make {
        MasterKeyToken::open_or_create(token, origin).await?
    } else {
        MasterKeyToken::open(token, origin).await?
    };
    Ok(Arc::new(opened))
}

/// The PIN, without the end of the line that an editor puts behind it.
fn pin(file: &Path) -> Result<Zeroizing<String>> {
    let cannot = || format!("cannot read the PIN of the token in {}", file.display());
    let mode = fs::metadata(file).with_context(cannot)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("the PIN in {} can be read by others: run chmod 600 on it", file.display());
    }
    let text = Zeroizing::new(fs::read_to_string(file).with_context(cannot)?);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
