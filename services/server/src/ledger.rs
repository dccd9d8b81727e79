//! Opening a ledger: its folder, its keys, its database. No other module but that of the key store knows which engines there
//! are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use trialseal_projector::{Projector, ProjectorParts};
use trialseal_record::values::KeyPurpose;
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_runtime::settings::{Database, Settings};
use trialseal_seal::dataset::ExportSigner;
use trialseal_seal::hash::Hash;
use trialseal_seal::note::{KeyKind, Signer, VerifierKey};
use trialseal_seal::trust::Trust;
use trialseal_store::{Progress, Store};
use trialseal_store_postgres::{PostgresKeys, PostgresStore};
use trialseal_store_sqlite::SqliteStore;
use trialseal_vault::{DataKeys, Vault};

use crate::policy::PublicationPolicy;
use crate::register::Register;
use crate::{files, key_store, keys, master_key};

/// A ledger's folder, its database and its key store, before anybody has looked at a key.
pub(crate) struct Found {
    pub(crate) dir: PathBuf,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Arc<dyn DataKeys>,
}

/// An open ledger.
pub(crate) struct Ledger {
    pub(crate) dir: PathBuf,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<Vault>,
    /// The publication policy.
    pub(crate) policy: PublicationPolicy,
}

impl Ledger {
    /// Whether there is a ledger in `settings.dir`.
    pub(crate) fn exists(settings: &Settings) -> bool {
        origin_file(&settings.dir).is_file()
    }

    /// Opens the ledger in `settings.dir`. Makes nothing where there is none: the folder may be misspelt.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        if !Self::exists(settings) {
            bail!(
                "there is no ledger in {}: name another --dir, or make one with serve",
                settings.dir.display()
            );
        }
        Self::open_or_make(settings).await
    }

    /// Whether the database is a file that one process has for itself.
    pub(crate) fn is_embedded(settings: &Settings) -> bool {
        matches!(settings.database, Database::Sqlite(_))
    }

    /// Brings the tables of record and key store up to date, and opens no ledger.
    pub(crate) async fn migrate(settings: &Settings) -> Result<()> {
        let Settings { database, key_database, .. } = settings;
        if let Database::Postgres(url) = database {
            PostgresStore::migrate(url).await.context("cannot bring the record's database up to date")?;
        }
        if let Database::Postgres(url) = key_database {
            PostgresKeys::migrate(url).await.context("cannot bring the key database up to date")?;
        }
        if let (Database::Sqlite(_), Database::Sqlite(_)) = (database, key_database) {
            bail!(
                "the embedded database is brought up to date by every start; --database-url names another one"
            );
        }
        Ok(())
    }

    /// Opens the ledger in `settings.dir`, or makes one.
    pub(crate) async fn open_or_make(settings: &Settings) -> Result<Self> {
        let found = Self::find(settings).await?;
        // Whoever moves them must be the one who serves.
        if !found.store.former_data_keys().await?.is_empty() {
            bail!(
                "the data keys of this ledger still lie in the database of the record: start serve once, which moves them"
            );
        }
        if master_key::is_to_be_moved(settings) {
            bail!(
                "the master key still lies in {}, and is to lie on the token: start serve once, which moves it",
                settings.master_key_file.display()
            );
        }
        Self::with_keys(settings, found).await
    }

    /// Makes the folder of the ledger in `settings.dir` and its tables where they are missing, and no keys.
    pub(crate) async fn find(settings: &Settings) -> Result<Found> {
        let dir = settings.dir.clone();
        fs::create_dir_all(&dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
        keys::make_folder(&dir)?;
        let origin = origin(&dir, settings.origin.as_deref())?;
        let store = connect(settings, &origin).await?;
        let keys = key_store::open(&settings.key_database, store.as_ref()).await?;
        Ok(Found { dir, store, keys })
    }

    /// Opens a ledger that was found, or makes what is missing.
    pub(crate) async fn with_keys(settings: &Settings, found: Found) -> Result<Self> {
        let Found { dir, store, keys } = found;
        // Only a ledger without any event gets new keys. To one that has events a missing key is a loss to be told of.
        let is_new = store.head().await?.position == 0;
        if is_new {
            keys::make_missing(&keys::file(&dir, KeyPurpose::Log))?;
            keys::make_missing(&keys::file(&dir, KeyPurpose::Export))?;
        }
        let vault = master_key::open_vault(settings, store.as_ref(), keys, is_new).await?;
        let log = log_keys(&dir, &store, &vault).await?;
        let policy = PublicationPolicy::read(settings.policy_file.as_deref(), &log)?;
        Ok(Self { dir, store, vault: Arc::new(vault), policy })
    }

    /// The signers of checkpoints, the oldest first; `sealer` alone gets them.
    pub(crate) fn log_signers(&self) -> Result<Vec<Signer>> {
        log_signers(&self.dir, self.store.origin())
    }

    /// The signers of datasets, the oldest first; `exporter` alone gets them.
    pub(crate) fn export_signers(&self) -> Result<Vec<ExportSigner>> {
        let seeds = keys::seeds(&self.dir, KeyPurpose::Export)?;
        seeds.iter().map(|seed| Ok(ExportSigner::new(self.store.origin(), seed)?)).collect()
    }

    /// The public halves of all keys at hand, each purpose's oldest first.
    pub(crate) fn verifier_keys(&self) -> Result<Vec<(KeyPurpose, String)>> {
        let (log, export) = (self.log_signers()?, self.export_signers()?);
        let log = log.iter().map(|signer| (KeyPurpose::Log, signer.verifier_key().to_string()));
        let export = export.iter().map(|signer| (KeyPurpose::Export, signer.export_key().to_string()));
        Ok(log.chain(export).collect())
    }

    /// Whom readers of the ledger trust.
    pub(crate) fn trust(&self) -> Result<Trust> {
        let exports = self.export_signers()?;
        let exports = exports.iter().rev().map(ExportSigner::export_key).collect();
        Ok(Trust::new(self.policy.text(), exports)?)
    }

    /// What folds the record into read models.
    pub(crate) fn projector(&self, progress: Arc<Progress>) -> Projector {
        Projector::new(ProjectorParts {
            events: self.store.clone(),
            models: self.store.clone(),
            vault: Arc::clone(&self.vault),
            progress,
        })
    }

    /// The folder that the public log is published to.
    pub(crate) fn log_folder(&self) -> PathBuf {
        self.dir.join("log")
    }
}

fn log_signers(dir: &Path, origin: &str) -> Result<Vec<Signer>> {
    let seeds = keys::seeds(dir, KeyPurpose::Log)?;
    seeds.iter().map(|seed| Ok(Signer::new(origin, KeyKind::Ed25519, seed)?)).collect()
}

/// The keys under which checkpoints of this ledger are to be found: those at hand, and those before them, the newest first.
async fn log_keys(dir: &Path, store: &Arc<dyn Store>, vault: &Vault) -> Result<Vec<VerifierKey>> {
    let mut keys: Vec<_> = log_signers(dir, store.origin())?.iter().map(Signer::verifier_key).collect();
    // Where the register is damaged, `check` has to be able to say so; nothing is signed then.
    let register = Register::read(store, vault).await.unwrap_or_else(|error| {
        tracing::error!(%error, "server.keys.read");
        Register::default()
    });
    for registered in register.of(KeyPurpose::Log).rev() {
        let key: VerifierKey = registered.key.verifier_key.as_str().parse()?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

async fn connect(settings: &Settings, origin: &str) -> Result<Arc<dyn Store>> {
    match &settings.database {
        Database::Sqlite(file) => {
            let opened = SqliteStore::open(file, origin).await;
            Ok(Arc::new(opened.with_context(|| format!("cannot open the database {}", file.display()))?))
        }
        // The address may hold a password, so it is not repeated.
        Database::Postgres(url) => {
            let connections = settings.database_connections;
            let opened = PostgresStore::connect_with(url, origin, connections).await;
            Ok(Arc::new(opened.context("cannot open the PostgreSQL database")?))
        }
    }
}

fn origin_file(dir: &Path) -> PathBuf {
    dir.join("origin")
}

/// The ledger's origin. It is chosen once and kept in `DIR/origin`: a ledger never changes its name.
fn origin(dir: &Path, wanted: Option<&str>) -> Result<String> {
    let file = origin_file(dir);
    let kept = match fs::read_to_string(&file) {
        Ok(text) => Some(text.trim_end().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    match (kept, wanted) {
        (Some(kept), Some(wanted)) if kept != wanted => {
            bail!("this folder holds the ledger {kept}, not {wanted}: choose another --dir")
        }
        (Some(kept), _) => Ok(kept),
        (None, wanted) => {
            let origin = wanted.map_or_else(local_origin, str::to_owned);
            files::create(&file, format!("{origin}\n").as_bytes(), 0o644)
                .with_context(|| format!("cannot write {}", file.display()))?;
            // Another process may have been faster; the name that stands there counts.
            self::origin(dir, wanted)
        }
    }
}

/// A name that no other ledger has, for those who chose none.
fn local_origin() -> String {
    let mut random = [0; 32];
    SystemIds.fill(&mut random);
    let name = Hash::from_bytes(random).to_string();
    format!("localhost/{}", name.get(..12).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_start_at_once_give_a_ledger_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| origin(dir.path(), None).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
        assert!(origin(dir.path(), Some("ledger.example.org/other")).is_err());
    }
}
