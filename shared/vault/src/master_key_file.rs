use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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
/// apart from the backups of the database: without it nothing that is encrypted can be read again.
pub struct MasterKeyFile {
    id: String,
    cipher: Cipher,
}

impl MasterKeyFile {
    /// Opens the file, and makes it first where there is none: 32 random bytes, mode 0600, on disk before it is used.
    /// The folder must exist. Of several processes that do this at once, one makes the key and all use it.
    pub fn open_or_create(path: &Path) -> Result<Self, VaultError> {
        if let Err(error) = fs::symlink_metadata(path)
            && error.kind() == ErrorKind::NotFound
        {
            let key = random::bytes::<KEY_BYTES>()?;
            create(path, &key).map_err(|error| refused(path, format!("cannot be made: {error}")))?;
        }
        Self::open(path)
    }

    /// Opens a file that is there. Refuses one that others than its owner can reach, and one of another size.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
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
        Ok(Self::from_key(&key))
    }

    pub(crate) fn from_key(key: &[u8; KEY_BYTES]) -> Self {
        let digest = DigestKey::derive(key, "master-key-id").digest(&[]);
        let number = digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let id = format!("file-{number:016x}");
        Self { id, cipher: Cipher::new(key) }
    }
}

#[async_trait]
impl KeyManagement for MasterKeyFile {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, VaultError> {
        self.cipher.seal(context, key)
    }

    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let opened = self.cipher.open(context, wrapped)?;
        let mut key = Zeroizing::new([0; 32]);
        if opened.len() != key.len() {
            return Err(VaultError::Refused);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

impl fmt::Debug for MasterKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKeyFile").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Writes the key beside its place, then links it there: what stands at `path` is whole at any moment, and a file that
/// another process put there meanwhile is left as it is.
fn create(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let suffix = random::uuid().map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}.new"));
    let fresh = folder.join(name);
    let linked = write_new(&fresh, key).and_then(|()| match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    // A crash before this line leaves a second name of the same key, as well guarded as the first.
    let removed = fs::remove_file(&fresh);
    linked.and(removed)?;
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

fn refused(path: &Path, problem: String) -> VaultError {
    VaultError::MasterKeyFile { path: PathBuf::from(path), problem }
}
