//! Received files on disk: each is encrypted under a key of its own from the first byte, and both are gone when its import
//! has ended.
//!
//! The key goes before the file. From then on neither the file nor any copy of it can be read, and a file that a crash
//! leaves says by its name whose key the next start has to destroy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use trialseal_record::ids::{ImportId, Scope, TrialId};
use trialseal_runtime::settings::ImportLimits;
use trialseal_seal::hash::Hash;
use trialseal_vault::file::{SealedReader, SealedWriter, plain_bytes};
use trialseal_vault::{DataKey, Vault, VaultError};
use uuid::Uuid;

/// Network chunks that may wait for the disk: bounds what an upload holds in memory.
const CHUNKS_WAITING: usize = 16;

/// Files that may come in at once: each keeps a thread.
const UPLOADS: usize = 32;

/// How long a sender may say nothing before the file counts as broken off.
const IDLE: Duration = Duration::from_mins(1);

/// Endings of file names: a file that is being received, and one that is whole.
const PART: &str = "part";
const WHOLE: &str = "sealed";

/// The folder of received files.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    folder: PathBuf,
    limits: ImportLimits,
    vault: Arc<Vault>,
    runtime: Handle,
    /// Plain bytes of all files in the folder.
    used_bytes: Arc<AtomicU64>,
    uploads: Arc<Semaphore>,
}

/// A file of the spool, which its name and its key are called after. Each upload is one, also of the same file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SpoolFile {
    pub(crate) trial: TrialId,
    pub(crate) id: Uuid,
}

impl SpoolFile {
    fn scope(&self) -> Scope {
        Scope::File(self.trial.clone(), self.id)
    }

    fn name(&self, ending: &str) -> String {
        format!("{}.{}.{ending}", self.trial, self.id)
    }

    fn of(path: &Path) -> Option<Self> {
        let (trial, id) = path.file_stem()?.to_str()?.rsplit_once('.')?;
        Some(Self { trial: trial.parse().ok()?, id: id.parse().ok()? })
    }
}

/// Why a file was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// It is larger than a file may be.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// There is no room for it now.
    #[error("too many files are coming in or waiting to be imported")]
    Full,
    /// The sender broke off.
    #[error("the file did not arrive whole")]
    Interrupted,
    /// It got no key.
    #[error("the file got no key: {0}")]
    Key(#[from] VaultError),
    /// The disk refused.
    #[error("the file cannot be spooled: {0}")]
    Disk(#[from] io::Error),
}

/// Why a file could not be destroyed. The next start tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DestroyError {
    /// Its key could not.
    #[error(transparent)]
    Key(#[from] VaultError),
    /// The disk refused; the file cannot be read any more.
    #[error("a file of the spool cannot be removed: {0}")]
    Disk(#[from] io::Error),
}

impl DestroyError {
    /// Whether the same may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Key(VaultError::Store(_) | VaultError::Management(_)))
    }
}

/// A file that was received whole and has no import yet; dropped, it is destroyed.
#[derive(Debug)]
pub(crate) struct Received {
    /// SHA-256 of the file as received.
    pub(crate) sha256: Hash,
    part: Part,
}

/// A file that is not kept yet.
#[derive(Debug)]
struct Part {
    spool: Spool,
    file: SpoolFile,
    bytes: u64,
    kept: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        self.spool.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        let (spool, file) = (self.spool.clone(), self.file.clone());
        // The sender may have left, and whoever waited for the file with it.
        self.spool.runtime.spawn(async move {
            if let Err(error) = spool.destroy(&file, PART).await {
                tracing::warn!(file = %file.id, %error, "a file that was not received whole could not be destroyed");
            }
        });
    }
}

impl Spool {
    /// The spool in a folder; what is left over is cleared away in `runtime`.
    pub(crate) fn new(folder: PathBuf, limits: ImportLimits, vault: Arc<Vault>, runtime: Handle) -> Self {
        let uploads = Arc::new(Semaphore::new(UPLOADS));
        Self { folder, limits, vault, runtime, used_bytes: Arc::default(), uploads }
    }

    /// Receives the contents of a new file, for `import`.
    pub(crate) async fn receive(
        &self,
        import: ImportId,
        file: SpoolFile,
        mut contents: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    ) -> Result<Received, ReceiveError> {
        let _place = self.uploads.try_acquire().map_err(|_| ReceiveError::Full)?;
        // Before its key, so that no key is ever without a file that names it.
        let sink = create(&self.path(&file, PART))?;
        let mut part = Part { spool: self.clone(), file, bytes: 0, kept: false };
        let key = self.key(&part.file).await?;
        let (chunks, written) = mpsc::channel(CHUNKS_WAITING);
        let writing = tokio::task::spawn_blocking(move || write(sink, import, &key, written));
        loop {
            let next =
                tokio::time::timeout(IDLE, contents.next()).await.map_err(|_| ReceiveError::Interrupted)?;
            let Some(chunk) = next else { break };
            let chunk = chunk.map_err(|_| ReceiveError::Interrupted)?;
            part.bytes += chunk.len() as u64;
            let used = self.used_bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
            if part.bytes > self.limits.file_bytes {
                return Err(ReceiveError::TooLarge(self.limits.file_bytes));
            }
            if used > self.limits.spool_bytes {
                return Err(ReceiveError::Full);
            }
            if chunks.send(chunk).await.is_err() {
                break; // the disk refused, and the writing task says why
            }
        }
        drop(chunks);
        let sha256 = writing.await.map_err(io::Error::other)??;
        Ok(Received { sha256, part })
    }

    /// Keeps a received file for its import. A crash before this leaves nothing that the next start keeps; after it, the
    /// file waits for its job to be recorded.
    pub(crate) fn keep(&self, mut received: Received) -> io::Result<()> {
        let file = &received.part.file;
        fs::rename(self.path(file, PART), self.path(file, WHOLE))?;
        received.part.kept = true;
        File::open(&self.folder)?.sync_all()
    }

    /// The key of a file.
    pub(crate) async fn key(&self, file: &SpoolFile) -> Result<Arc<DataKey>, VaultError> {
        self.vault.key_of(&file.scope()).await
    }

    /// Reads a kept file, that of `import`, from its beginning.
    pub(crate) fn open(
        &self,
        import: ImportId,
        file: &SpoolFile,
        key: &DataKey,
    ) -> io::Result<SealedReader<File>> {
        SealedReader::new(File::open(self.path(file, WHOLE))?, key, &context(import))
    }

    /// Whether a kept file is here.
    pub(crate) fn has(&self, file: &SpoolFile) -> bool {
        self.path(file, WHOLE).exists()
    }

    /// Destroys a kept file, whose import has ended or never began.
    pub(crate) async fn end(&self, file: &SpoolFile) -> Result<(), DestroyError> {
        let bytes = fs::metadata(self.path(file, WHOLE)).ok().and_then(|facts| plain_bytes(facts.len()));
        self.destroy(file, WHOLE).await?;
        self.used_bytes.fetch_sub(bytes.unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// Destroys a file for good: its key, then the file.
    async fn destroy(&self, file: &SpoolFile, ending: &str) -> Result<(), DestroyError> {
        self.vault.destroy(&file.scope()).await?;
        let path = self.path(file, ending);
        let removed = tokio::task::spawn_blocking(move || fs::remove_file(path)).await;
        Ok(removed.map_err(io::Error::other)??)
    }

    /// At a start: destroys what a crash left behind, and counts the files of the imports that go on.
    pub(crate) async fn recover(&self, is_wanted: impl Fn(&SpoolFile) -> bool) -> Result<(), DestroyError> {
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut used = 0;
        for file in files {
            let path = file?.path();
            let is_whole = path.extension().is_some_and(|ending| ending == WHOLE);
            if !is_whole && path.extension().is_none_or(|ending| ending != PART) {
                continue;
            }
            let file = SpoolFile::of(&path);
            if is_whole && file.as_ref().is_some_and(&is_wanted) {
                used += plain_bytes(fs::metadata(path)?.len()).unwrap_or(0);
                continue;
            }
            if let Some(file) = file {
                self.vault.destroy(&file.scope()).await?;
            }
            fs::remove_file(path)?;
        }
        self.used_bytes.store(used, Ordering::Relaxed);
        Ok(())
    }

    fn path(&self, file: &SpoolFile, ending: &str) -> PathBuf {
        self.folder.join(file.name(ending))
    }
}

/// What binds a spooled file to its import.
fn context(import: ImportId) -> Vec<u8> {
    format!("import/{import}").into_bytes()
}

/// Makes a file that nobody else reads, and the folder where it is missing.
fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes what arrives, and answers with its SHA-256 once all of it is on disk.
fn write(file: File, import: ImportId, key: &DataKey, mut chunks: mpsc::Receiver<Bytes>) -> io::Result<Hash> {
    let mut sealed = SealedWriter::new(file, key, &context(import))?;
    let mut sha256 = Sha256::new();
    while let Some(chunk) = chunks.blocking_recv() {
        sha256.update(&chunk);
        sealed.write_all(&chunk)?;
    }
    sealed.finish()?.sync_all()?;
    Ok(Hash::from_bytes(sha256.finalize().into()))
}
