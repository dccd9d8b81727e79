//! The folder of a witness: `witness.conf`, the key, the journal, and the lock of the one process that uses it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_seal::hash::Hash;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::journal::{self, Journal};
use crate::keys::Keys;

/// The configuration's file.
const CONFIG: &str = "witness.conf";

/// A folder that is there.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    pub(crate) config: Config,
}

/// The right to cosign from a folder. It is held for as long as this lives, and the operating system gives it back however
/// the process ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "it is held, not read")] File);

impl Lock {
    /// Takes the lock of a folder, which is made if it is not there.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let path = dir.join("witness.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                bail!("another process witnesses from {} already: end it first", dir.display())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

impl Folder {
    /// Opens a folder that is there; `None` if it has no configuration.
    pub(crate) fn find(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(CONFIG);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let config = Config::parse(&text).with_context(|| path.display().to_string())?;
        Ok(Some(Self { dir: dir.to_owned(), config }))
    }

    /// Makes what a new witness needs: an empty journal, its keys, and last the configuration, so that a start that was broken
    /// off is taken up again. Who has the lock may do so.
    pub(crate) fn create(dir: &Path, config: Config, _lock: &Lock) -> Result<Self> {
        let (key, journal) = (dir.join(&config.key), dir.join(journal::FILE));
        let (has_key, has_journal) = (key.exists(), journal.exists());
        ensure!(
            has_journal || !has_key,
            "{} is there and {} is not: without it this witness must not cosign again",
            key.display(),
            journal.display()
        );
        if !has_journal {
            Journal::create(dir).with_context(|| format!("cannot write {}", journal.display()))?;
        }
        let further = config.ml_dsa_key.as_ref().map(|file| dir.join(file));
        for key in std::iter::once(key).chain(further).filter(|key| !key.exists()) {
            let mut seed = Zeroizing::new([0; 32]);
            SystemIds.fill(seed.as_mut_slice());
            let text = Zeroizing::new(format!("{}\n", Hash::from_bytes(*seed)));
            write(&key, text.as_bytes(), 0o600)?;
        }
        write(&dir.join(CONFIG), config.text().as_bytes(), 0o644)?;
        Ok(Self { dir: dir.to_owned(), config })
    }

    /// The keys that cosign.
    pub(crate) fn keys(&self) -> Result<Keys> {
        let ed25519 = self.seed(&self.config.key)?;
        let ml_dsa_44 = self.config.ml_dsa_key.as_ref().map(|file| self.seed(file)).transpose()?;
        Keys::new(&self.config.name, &ed25519, ml_dsa_44.as_deref())
    }

    /// Reads a key's seed.
    fn seed(&self, file: &Path) -> Result<Zeroizing<[u8; 32]>> {
        let file = self.dir.join(file);
        let text = fs::read_to_string(&file).map(Zeroizing::new);
        let text = text.with_context(|| format!("cannot read the key {}", file.display()))?;
        let mode = fs::metadata(&file)?.permissions().mode();
        let is_closed = mode.trailing_zeros() >= 6;
        ensure!(is_closed, "the key {} can be read by others: run chmod 600 on it", file.display());
        let seed: Option<Hash> = text.trim_end().parse().ok();
        let seed = seed.with_context(|| format!("{} is no key of 64 hex digits", file.display()))?;
        Ok(Zeroizing::new(*seed.as_bytes()))
    }

    /// The journal, and the notes in it.
    pub(crate) fn journal(&self, _lock: &Lock) -> Result<(Journal, Vec<String>)> {
        Journal::open(&self.dir)
    }
}

/// Writes a file whole or not at all.
fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let beside = file.with_added_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        let mut out = options.create(true).write(true).truncate(true).mode(mode).open(&beside)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&beside, file)?;
        File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use trialseal_seal::note::KeyKind;

    use super::*;
    use crate::config::DEFAULT_LISTEN;

    fn config() -> Config {
        Config::new("witness.example.org/w1", DEFAULT_LISTEN, Vec::new())
    }

    fn create(dir: &Path) -> Result<Folder> {
        Folder::create(dir, config(), &Lock::take(dir)?)
    }

    #[test]
    fn a_folder_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("w1");
        assert!(Folder::find(&dir).unwrap().is_none());
        let made = create(&dir).unwrap();
        let found = Folder::find(&dir).unwrap().unwrap();
        assert_eq!(found.config, config());
        let key = made.keys().unwrap().ed25519();
        assert_eq!(found.keys().unwrap().ed25519(), key);
        assert_eq!((key.name(), key.kind()), ("witness.example.org/w1", KeyKind::Cosignature));
        let mode = |file| fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("witness.key"), 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 4, "configuration, key, journal, lock");

        fs::set_permissions(dir.join("witness.key"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(found.keys().unwrap_err().to_string().contains("can be read by others"));
    }

    #[test]
    fn a_making_that_was_broken_off_is_taken_up_and_no_key_is_used_without_its_journal() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        Journal::create(dir).unwrap();
        let key = create(dir).unwrap().keys().unwrap().ed25519();
        fs::remove_file(dir.join(CONFIG)).unwrap();
        assert_eq!(create(dir).unwrap().keys().unwrap().ed25519(), key);

        fs::remove_file(dir.join(CONFIG)).unwrap();
        fs::remove_file(dir.join(journal::FILE)).unwrap();
        let refused = create(dir).unwrap_err().to_string();
        assert!(refused.contains("must not cosign again"), "{refused}");
    }

    #[test]
    fn a_folder_is_used_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        assert!(Lock::take(dir.path()).unwrap_err().to_string().contains("another process witnesses from"));
        drop(lock);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = create(dir.path()).unwrap();
        fs::write(dir.path().join("witness.key"), "secret\n").unwrap();
        let refused = folder.keys().unwrap_err().to_string();
        assert!(refused.contains("is no key of 64 hex digits") && !refused.contains("secret"), "{refused}");
    }
}
