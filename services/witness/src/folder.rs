//! The folder of a witness: `witness.conf`, the key and at times its successor, the journal, and the lock of the one process
//! that uses it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_seal::hash::Hash;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::cosigner::check_notes;
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
            make_key(&key)?;
        }
        write(&dir.join(CONFIG), config.text().as_bytes(), 0o644)?;
        Ok(Self { dir: dir.to_owned(), config })
    }

    /// The keys that cosign.
    pub(crate) fn keys(&self) -> Result<Keys> {
        let next = Some(self.successor()).filter(|next| next.exists());
        let ed25519 = std::iter::once(self.dir.join(&self.config.key)).chain(next);
        let ed25519 = ed25519.map(|file| self.seed(&file)).collect::<Result<Vec<_>>>()?;
        let ml_dsa_44 = self.config.ml_dsa_key.as_ref().map(|file| self.seed(file)).transpose()?;
        Keys::new(&self.config.name, ed25519.iter().map(|seed| &**seed), ml_dsa_44.as_deref())
    }

    /// Where the key is that is going to take the place of the one in use: `witness.next.key` beside `witness.key`.
    fn successor(&self) -> PathBuf {
        self.dir.join(&self.config.key).with_extension("next.key")
    }

    /// Makes a successor of the Ed25519 key, beside which it cosigns from the next start on.
    pub(crate) fn rotate(&self) -> Result<()> {
        let next = self.successor();
        ensure!(
            !next.exists(),
            "{} is there already: retire the key first, for which that one was made",
            next.display()
        );
        make_key(&next)
    }

    /// Puts the successor in the place of the key in use, which is gone then. Who has the lock may do so; at once: a crash
    /// leaves both or the successor alone.
    pub(crate) fn retire(&self, lock: &Lock) -> Result<()> {
        let (key, next) = (self.dir.join(&self.config.key), self.successor());
        ensure!(next.exists(), "the key has no successor: make one with `trialseal-witness rotate`");
        let successor = Keys::new(&self.config.name, [&*self.seed(&next)?], None)?;
        let (_, notes) = self.journal(lock)?;
        check_notes(&successor.ed25519(), notes)
            .context("the successor has not cosigned all that the key has: run the witness with both once")?;
        let put = fs::rename(&next, &key).and_then(|()| sync_folder(&key));
        put.with_context(|| format!("cannot put {} in the place of {}", next.display(), key.display()))
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

/// Makes the file of a new key.
fn make_key(file: &Path) -> Result<()> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemIds.fill(seed.as_mut_slice());
    let text = Zeroizing::new(format!("{}\n", Hash::from_bytes(*seed)));
    write(file, text.as_bytes(), 0o600)
}

/// Returns once the names in a file's folder outlive a power cut.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
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
        sync_folder(file)
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
        let key = &key[0];
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
    fn a_successor_takes_the_place_of_a_key_once_it_has_cosigned_all() {
        let dir = tempfile::tempdir().unwrap();
        let folder = create(dir.path()).unwrap();
        let first = folder.keys().unwrap().ed25519();
        let lock = Lock::take(dir.path()).unwrap();
        assert!(folder.retire(&lock).unwrap_err().to_string().contains("has no successor"));
        folder.rotate().unwrap();
        assert!(folder.rotate().unwrap_err().to_string().contains("is there already"));
        let both = folder.keys().unwrap().ed25519();
        assert_eq!((both.len(), &both[0]), (2, &first[0]));

        let log = trialseal_seal::note::Signer::new("log.example.org", KeyKind::Ed25519, &[1; 32]).unwrap();
        let root = trialseal_seal::hash::sha256(b"root");
        let checkpoint =
            trialseal_seal::checkpoint::Checkpoint { origin: "log.example.org".into(), size: 1, root };
        let mut note = checkpoint.sign(&log).unwrap();
        let old = Keys::new("witness.example.org/w1", [&*folder.seed(&folder.config.key).unwrap()], None);
        note.signatures.extend(old.unwrap().cosign(&checkpoint, &note.text, 1).unwrap());
        let (mut journal, _) = folder.journal(&lock).unwrap();
        crate::journal::Storage::append(&mut journal, &[&note.encode()]).unwrap();
        drop(journal);
        let said = folder.retire(&lock).unwrap_err().to_string();
        assert!(said.contains("run the witness with both once"), "{said}");

        let (journal, notes) = folder.journal(&lock).unwrap();
        let clock = std::sync::Arc::new(trialseal_runtime::clock::SystemClock);
        drop(crate::cosigner::Cosigner::new(
            folder.keys().unwrap(),
            clock,
            journal,
            notes,
            std::sync::Arc::default(),
        ));
        folder.retire(&lock).unwrap();
        assert_eq!(folder.keys().unwrap().ed25519(), both[1..]);
        assert_eq!(fs::metadata(dir.path().join("witness.key")).unwrap().permissions().mode() & 0o777, 0o600);
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
