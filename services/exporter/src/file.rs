//! Files of exports at rest: encrypted, and whole or not there.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use trialseal_seal::hash::Hash;
use trialseal_vault::DataKey;
use trialseal_vault::file::{SealedReader, SealedWriter};
use uuid::Uuid;

/// How the names of files end: finished ones, those being written, and lines set aside.
pub(crate) const FINISHED: &str = "sealed";
pub(crate) const PART: &str = "part";
pub(crate) const SPOOL: &str = "spool";

const BUFFER_BYTES: usize = 256 << 10;

/// Where the finished file of an export lies.
pub(crate) fn path(folder: &Path, export: Uuid) -> PathBuf {
    folder.join(format!("{export}.{FINISHED}"))
}

/// Where it is written.
pub(crate) fn part_path(folder: &Path, export: Uuid) -> PathBuf {
    folder.join(format!("{export}.{PART}"))
}

/// A file's time from the clock's.
pub(crate) fn time(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.try_into().unwrap_or(0))
}

/// Binds a file to its export, so that one cannot be put in the place of another.
fn context(export: Uuid) -> Vec<u8> {
    format!("export/{export}").into_bytes()
}

/// An export file being written: encrypts, counts and hashes what passes.
pub(crate) struct ExportFile {
    sealed: SealedWriter<BufWriter<File>>,
    hash: Sha256,
    bytes: u64,
}

/// What a finished export file holds.
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
}

impl ExportFile {
    /// Begins the file anew; what an interrupted attempt left is overwritten.
    pub(crate) fn create(folder: &Path, export: Uuid, key: &DataKey) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(part_path(folder, export))?);
        let sealed = SealedWriter::new(file, key, &context(export))?;
        Ok(Self { sealed, hash: Sha256::new(), bytes: 0 })
    }

    /// Ends the file and gives it its name, durably: a crash before leaves an unfinished job, which begins anew. The file
    /// bears the clock's time, from which it is kept.
    pub(crate) fn finish(self, folder: &Path, export: Uuid, now_micros: i64) -> io::Result<Written> {
        let file = self.sealed.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.set_modified(time(now_micros))?;
        file.sync_all()?;
        fs::rename(part_path(folder, export), path(folder, export))?;
        File::open(folder)?.sync_all()?;
        Ok(Written { bytes: self.bytes, sha256: Hash::from_bytes(self.hash.finalize().into()) })
    }
}

impl Write for ExportFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.sealed.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sealed.flush()
    }
}

/// Removes a file that may be gone already. Who is reading it reads on.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what an attempt that broke off wrote.
pub(crate) fn discard(folder: &Path, export: Uuid) {
    if let Err(error) = remove(&part_path(folder, export)) {
        tracing::error!(%export, %error, "exporter.file.discard");
    }
}

/// A finished file that is read.
pub(crate) type Reading = SealedReader<BufReader<File>>;

/// Opens a finished file.
pub(crate) fn open(folder: &Path, export: Uuid, key: &DataKey) -> io::Result<Reading> {
    let file = BufReader::with_capacity(BUFFER_BYTES, File::open(path(folder, export))?);
    SealedReader::new(file, key, &context(export))
}
