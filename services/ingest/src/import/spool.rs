//! Received files on disk: encrypted under the trial's key from the first byte, and gone when their import has ended.

use std::collections::HashSet;
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
use tokio::sync::{Semaphore, mpsc};
use trialseal_record::ids::ImportId;
use trialseal_runtime::settings::ImportLimits;
use trialseal_seal::hash::Hash;
use trialseal_vault::DataKey;
use trialseal_vault::file::{SealedReader, SealedWriter, plain_bytes};
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
    /// Plain bytes of all files in the folder.
    used_bytes: Arc<AtomicU64>,
    uploads: Arc<Semaphore>,
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
    /// The disk refused.
    #[error("the file cannot be spooled: {0}")]
    Disk(#[from] io::Error),
}

/// A file that was received whole and has no import yet; dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Received {
    /// SHA-256 of the file as received.
    pub(crate) sha256: Hash,
    part: Part,
}

/// A file that is not kept yet.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    bytes: u64,
    used_bytes: Arc<AtomicU64>,
    kept: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            self.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            // One that stays is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Spool {
    pub(crate) fn new(folder: PathBuf, limits: ImportLimits) -> Self {
        Self { folder, limits, used_bytes: Arc::default(), uploads: Arc::new(Semaphore::new(UPLOADS)) }
    }

    /// Receives the file of `import`. `attempt` tells this upload from others of the same import.
    pub(crate) async fn receive(
        &self,
        import: ImportId,
        attempt: Uuid,
        key: Arc<DataKey>,
        mut file: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    ) -> Result<Received, ReceiveError> {
        let _place = self.uploads.try_acquire().map_err(|_| ReceiveError::Full)?;
        let path = self.folder.join(format!("{attempt}.{PART}"));
        // Made here, and not where it is written: who gives up before that would remove it before it is there.
        let sink = create(&path)?;
        let mut part = Part { path, bytes: 0, used_bytes: Arc::clone(&self.used_bytes), kept: false };
        let (chunks, written) = mpsc::channel(CHUNKS_WAITING);
        let writing = tokio::task::spawn_blocking(move || write(sink, import, &key, written));
        loop {
            let next =
                tokio::time::timeout(IDLE, file.next()).await.map_err(|_| ReceiveError::Interrupted)?;
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

    /// Makes a received file the file of `import`. A crash before this leaves nothing that the next start keeps; after
    /// it, the file waits for its job to be recorded.
    pub(crate) fn keep(&self, import: ImportId, mut received: Received) -> io::Result<()> {
        let path = self.path(import);
        // One that was kept before, whose job could not be recorded.
        let replaced = fs::metadata(&path).ok().and_then(|facts| plain_bytes(facts.len())).unwrap_or(0);
        fs::rename(&received.part.path, path)?;
        received.part.kept = true;
        self.used_bytes.fetch_sub(replaced, Ordering::Relaxed);
        File::open(&self.folder)?.sync_all()
    }

    /// Reads the file of `import` from its beginning.
    pub(crate) fn open(&self, import: ImportId, key: &DataKey) -> io::Result<SealedReader<File>> {
        SealedReader::new(File::open(self.path(import))?, key, &context(import))
    }

    /// Whether the file of `import` is here.
    pub(crate) fn has(&self, import: ImportId) -> bool {
        self.path(import).exists()
    }

    /// Removes the file of `import`, whose work has ended.
    pub(crate) fn remove(&self, import: ImportId) -> io::Result<()> {
        let path = self.path(import);
        let bytes = fs::metadata(&path).map(|facts| plain_bytes(facts.len()).unwrap_or(0))?;
        fs::remove_file(path)?;
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// At a start: removes what a crash left behind, and counts the files of the imports that go on.
    pub(crate) fn recover(&self, open: &HashSet<ImportId>) -> io::Result<()> {
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let wanted: HashSet<PathBuf> = open.iter().map(|import| self.path(*import)).collect();
        let mut used = 0;
        for file in files {
            let file = file?;
            if wanted.contains(&file.path()) {
                used += plain_bytes(file.metadata()?.len()).unwrap_or(0);
            } else if file.path().extension().is_some_and(|ending| ending == PART || ending == WHOLE) {
                fs::remove_file(file.path())?;
            }
        }
        self.used_bytes.store(used, Ordering::Relaxed);
        Ok(())
    }

    fn path(&self, import: ImportId) -> PathBuf {
        self.folder.join(format!("{import}.{WHOLE}"))
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
