//! The ZIP: the same files give the same bytes, and the manifest lists them as they were written.

use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use trialseal_seal::dataset::{ExportSigner, MANIFEST, Manifest};
use trialseal_seal::hash::Hash;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::Plan;
use crate::error::ExportError;
use crate::file::{ExportFile, Written};
use crate::recall::Standing;

/// The level of deflate. Another one gives other bytes for the same dataset.
const DEFLATE_LEVEL: i64 = 6;

/// A dataset's ZIP, written front to back without going back.
pub(super) struct Archive {
    zip: ZipWriter<StreamWriter<ExportFile>>,
    current: Option<(String, Sha256)>,
    files: Vec<(String, Hash)>,
    standing: Standing,
}

impl Archive {
    pub(super) fn create(folder: &Path, plan: &Plan) -> io::Result<Self> {
        let zip = ZipWriter::new_stream(ExportFile::create(folder, plan.export, &plan.key)?);
        Ok(Self { zip, current: None, files: Vec::new(), standing: plan.standing.clone() })
    }

    /// Begins a file; what is written from now on is its content.
    pub(super) fn begin(&mut self, name: &str) -> Result<(), ExportError> {
        self.end();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(DEFLATE_LEVEL))
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .large_file(true);
        self.zip.start_file(name, options)?;
        self.current = Some((name.to_owned(), Sha256::new()));
        Ok(())
    }

    fn end(&mut self) {
        if let Some((name, hash)) = self.current.take() {
            self.files.push((name, Hash::from_bytes(hash.finalize().into())));
        }
    }

    /// Writes a whole file.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> Result<(), ExportError> {
        self.begin(name)?;
        Ok(self.write_all(content)?)
    }

    /// The names of the files so far.
    pub(super) fn names(&self) -> Vec<String> {
        let ended = self.files.iter().map(|(name, _)| name.clone());
        ended.chain(self.current.iter().map(|(name, _)| name.clone())).collect()
    }

    /// Adds the signed manifest and has the file ended.
    pub(super) fn finish(
        mut self,
        signers: &[ExportSigner],
        end: impl FnOnce(ExportFile) -> io::Result<Written>,
    ) -> Result<Written, ExportError> {
        self.end();
        let manifest = Manifest::new(std::mem::take(&mut self.files))?.sign_with(signers)?;
        self.file(MANIFEST, &manifest)?;
        Ok(end(self.zip.finish()?.into_inner())?)
    }
}

impl Write for Archive {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.standing.is_recalled() {
            return Err(io::Error::other(ExportError::Recalled));
        }
        let count = self.zip.write(bytes)?;
        if let Some((_, hash)) = &mut self.current {
            hash.update(&bytes[..count]);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.flush()
    }
}
