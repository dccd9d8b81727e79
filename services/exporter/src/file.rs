//! Files of exports at rest: encrypted, and whole or not there.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use trialseal_seal::hash::Hash;
use trialseal_vault::DataKey;
use trialseal_vault::file::{SealedReader, SealedWriter};
use uuid::Uuid;

const BUFFER_BYTES: usize = 256 << 10;

/// Where the finished file of an export lies.
pub(crate) fn path(folder: &Path, export: Uuid) -> PathBuf {
    folder.join(format!("{export}.sealed"))
}

fn part_path(folder: &Path, export: Uuid) -> PathBuf {
    folder.join(format!("{export}.part"))
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

    /// Ends the file and gives it its name, durably: a crash before leaves an unfinished job, which begins anew.
    pub(crate) fn finish(self, folder: &Path, export: Uuid) -> io::Result<Written> {
        let file = self.sealed.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
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

/// Opens a finished file.
pub(crate) fn open(folder: &Path, export: Uuid, key: &DataKey) -> io::Result<SealedReader<BufReader<File>>> {
    let file = BufReader::with_capacity(BUFFER_BYTES, File::open(path(folder, export))?);
    SealedReader::new(file, key, &context(export))
}

/// Lines set aside while the dataset is written, to be read again from the start. The file has no name by the time it
/// is used, so that nothing is left of it however the export ends.
pub(crate) struct Spool {
    sealed: SealedWriter<BufWriter<File>>,
    reading: File,
    context: Vec<u8>,
}

impl Spool {
    pub(crate) fn create(folder: &Path, export: Uuid, number: usize, key: &DataKey) -> io::Result<Self> {
        let path = folder.join(format!("{export}.{number}.spool"));
        let context = format!("export-spool/{export}/{number}").into_bytes();
        let writing = File::create(&path)?;
        let reading = File::open(&path)?;
        fs::remove_file(&path)?;
        let sealed = SealedWriter::new(BufWriter::new(writing), key, &context)?;
        Ok(Self { sealed, reading, context })
    }

    pub(crate) fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.sealed.write_all(line)?;
        self.sealed.write_all(b"\n")
    }

    /// Ends the writing; what comes back can be read any number of times.
    pub(crate) fn finish(self) -> io::Result<Spooled> {
        self.sealed.finish()?;
        Ok(Spooled { file: self.reading, context: self.context })
    }
}

/// A finished [`Spool`].
pub(crate) struct Spooled {
    file: File,
    context: Vec<u8>,
}

impl Spooled {
    /// Reads it from the start.
    pub(crate) fn read(&self, key: &DataKey) -> io::Result<BufReader<SealedReader<BufReader<&File>>>> {
        use std::io::Seek as _;
        (&self.file).rewind()?;
        let sealed =
            SealedReader::new(BufReader::with_capacity(BUFFER_BYTES, &self.file), key, &self.context)?;
        Ok(BufReader::with_capacity(BUFFER_BYTES, sealed))
    }
}
