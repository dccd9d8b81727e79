use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::aead::Cipher;
use crate::error::VaultError;
use crate::keyed::DigestKey;
use crate::keys::KeyManagement;
use crate::random;

/// What the file holds: the key and nothing else.
const KEY_BYTES: usize = 32;

/// The default key-management back end: a master key in a file that its owner alone can read. Keep a copy of the file
/// apart from the backups of the database and of the key store: without it nothing that is encrypted can be read again.
///
/// A successor lies beside it, under the same name with `.next` before the ending, until the former key is destroyed: its
/// file is overwritten, and the successor takes its place. That is as good as the disk: one that keeps old blocks, or a
/// copy of the file somewhere else, still has the former key.
pub struct MasterKeyFile {
    path: PathBuf,
    keys: RwLock<Keys>,
}

struct Keys {
    current: Arc<MasterKey>,
    former: Option<Arc<MasterKey>>,
}

struct MasterKey {
    id: String,
    cipher: Cipher,
}

impl MasterKeyFile {
    /// Opens the file, and makes it first where there is none: 32 random bytes, mode 0600, on disk before it is used.
    /// The folder must exist. Of several processes that do this at once, one makes the key and all use it.
    pub fn open_or_create(path: &Path) -> Result<Self, VaultError> {
        make_missing(path)?;
        Self::open(path)
    }

    /// Opens a file that is there, and that of its successor if there is one. Refuses one that others than its owner can
    /// reach, and one of another size.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let key = Arc::new(MasterKey::read(path)?);
        let next = successor(path);
        let keys = if fs::symlink_metadata(&next).is_ok() {
            Keys { current: Arc::new(MasterKey::read(&next)?), former: Some(key) }
        } else {
            Keys { current: key, former: None }
        };
        Ok(Self { path: path.to_owned(), keys: RwLock::new(keys) })
    }

    /// Overwrites the file, and that of its successor if there is one, and removes them: for a key whose place another back end
    /// has taken. After a crash in here there is still a file to be opened, or none.
    pub fn destroy(&self) -> Result<(), VaultError> {
        let _nobody_else = self.write();
        for path in [&successor(&self.path), &self.path] {
            if fs::symlink_metadata(path).is_ok() {
                let removed = overwrite(path).and_then(|()| fs::remove_file(path));
                removed.map_err(|error| refused(path, format!("cannot be destroyed: {error}")))?;
            }
        }
        let synced = sync_folder(&self.path);
        synced.map_err(|error| refused(&self.path, format!("cannot be destroyed: {error}")))
    }

    /// The keys, also after a panic elsewhere: they are changed in one step.
    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MasterKey {
    fn read(path: &Path) -> Result<Self, VaultError> {
        let unreadable = |error: io::Error| refused(path, format!("cannot be read: {error}"));
        let mut file = File::open(path).map_err(unreadable)?;
        let facts = file.metadata().map_err(unreadable)?;
        let mode = facts.mode() & 0o777;
        if !facts.is_file() {
            return Err(refused(path, "is no regular file".to_owned()));
        }
        if mode & 0o077 != 0 {
            let problem = format!("has mode {mode:04o}, so others can reach it: set it to 0600");
            return Err(refused(path, problem));
        }
        if facts.len() != KEY_BYTES as u64 {
            let problem = format!("has {} bytes, where a master key has {KEY_BYTES}", facts.len());
            return Err(refused(path, problem));
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        file.read_exact(key.as_mut_slice()).map_err(unreadable)?;
        Ok(Self::new(&key))
    }

    fn new(key: &[u8; KEY_BYTES]) -> Self {
        let digest = DigestKey::derive(key, "master-key-id").digest(&[]);
        let number = digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self { id: format!("file-{number:016x}"), cipher: Cipher::new(key) }
    }
}

#[async_trait]
impl KeyManagement for MasterKeyFile {
    fn id(&self) -> String {
        self.read().current.id.clone()
    }

    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<(String, Vec<u8>), VaultError> {
        let master = Arc::clone(&self.read().current);
        Ok((master.id.clone(), master.cipher.seal(context, key)?))
    }

    async fn unwrap(
        &self,
        master: &str,
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
        let keys = self.read();
        let found = [Some(&keys.current), keys.former.as_ref()].into_iter().flatten();
        let Some(master) = found.into_iter().find(|known| known.id == master) else { return Ok(None) };
        let opened = master.cipher.open(context, wrapped)?;
        let mut key = Zeroizing::new([0; 32]);
        if opened.len() != key.len() {
            return Err(VaultError::Refused);
        }
        key.copy_from_slice(&opened);
        Ok(Some(key))
    }

    async fn succeed(&self) -> Result<(), VaultError> {
        let mut keys = self.write();
        if keys.former.is_none() {
            let next = successor(&self.path);
            make_missing(&next)?;
            let next = Arc::new(MasterKey::read(&next)?);
            keys.former = Some(std::mem::replace(&mut keys.current, next));
        }
        Ok(())
    }

    fn former_id(&self) -> Option<String> {
        self.read().former.as_ref().map(|former| former.id.clone())
    }

    async fn destroy_former(&self) -> Result<(), VaultError> {
        let mut keys = self.write();
        if keys.former.is_some() {
            let replaced = overwrite(&self.path).and_then(|()| fs::rename(successor(&self.path), &self.path));
            let replaced = replaced.and_then(|()| sync_folder(&self.path));
            replaced.map_err(|error| refused(&self.path, format!("cannot be destroyed: {error}")))?;
            keys.former = None;
        }
        Ok(())
    }
}

/// Where the successor of a master key lies: `master.next.key` beside `master.key`.
fn successor(path: &Path) -> PathBuf {
    let ending = path.extension().unwrap_or_default();
    let mut next = OsString::from("next.");
    next.push(ending);
    path.with_extension(if ending.is_empty() { OsString::from("next") } else { next })
}

/// Puts zeros in the place of a key, whatever names the file has. A crash after this leaves a key that wrapped nothing, and
/// its successor.
fn overwrite(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(&[0; KEY_BYTES])?;
    file.sync_all()
}

impl fmt::Debug for MasterKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKeyFile").field("id", &self.id()).finish_non_exhaustive()
    }
}

fn make_missing(path: &Path) -> Result<(), VaultError> {
    if let Err(error) = fs::symlink_metadata(path)
        && error.kind() == ErrorKind::NotFound
    {
        let key = random::bytes::<KEY_BYTES>()?;
        create(path, &key).map_err(|error| refused(path, format!("cannot be made: {error}")))?;
    }
    Ok(())
}

/// Writes the key beside its place, then links it there: what stands at `path` is whole at any moment, and a file that
/// another process put there meanwhile is left as it is.
fn create(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let suffix = random::uuid().map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}.new"));
    let fresh = path.with_file_name(name);
    let linked = write_new(&fresh, key).and_then(|()| match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    // A crash before this line leaves a second name of the same key, as well guarded as the first.
    let removed = fs::remove_file(&fresh);
    linked.and(removed)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn write_new(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

fn refused(path: &Path, problem: String) -> VaultError {
    VaultError::MasterKeyFile { path: PathBuf::from(path), problem }
}
