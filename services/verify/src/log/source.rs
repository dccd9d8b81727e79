//! Where a published log is read from.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use trialseal_seal::tiles::LogPath;

/// Largest resource of a log, bytes: a bundle of 256 entries of 65,535 bytes each with their lengths.
pub const MAX_RESOURCE_BYTES: u64 = 256 * (65_535 + 2);

/// A published log, by the paths of C2SP tlog-tiles below its prefix.
pub trait Source {
    /// The bytes at a path; `None` where there is nothing.
    ///
    /// # Errors
    /// Where there is something that cannot be read, or is larger than [`MAX_RESOURCE_BYTES`].
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// The widths of the partial tiles that are kept beside the full one at `path`, where the log can be asked for a
    /// list; a log over HTTP cannot.
    fn partials(&self, path: &str) -> io::Result<Vec<u8>>;

    /// The tree sizes above `size` that have a note, in order, where the log can be asked for a list.
    fn notes_above(&self, size: u64) -> io::Result<Vec<u64>> {
        let _ = size;
        Ok(Vec::new())
    }
}

/// A log in a folder. What does not stand where a log has something is no part of it, and is not looked at.
#[derive(Debug)]
pub struct LogFolder(PathBuf);

impl LogFolder {
    /// The log below this folder.
    pub fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }
}

impl Source for LogFolder {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.0.join(path);
        // Opening a pipe would wait for ever, and a link may lead anywhere.
        let Some(found) = there(fs::symlink_metadata(&path))? else { return Ok(None) };
        if !Metadata::is_file(&found) {
            return Err(io::Error::other("it is no plain file"));
        }
        there(File::open(path))?.map(bounded).transpose()
    }

    fn partials(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut widths = Vec::new();
        for entry in there(fs::read_dir(self.0.join(format!("{path}.p"))))?.into_iter().flatten() {
            let name = entry?.file_name();
            let width: Option<u8> = name.to_str().and_then(|name| name.parse().ok());
            // A width has one spelling: `03` is no partial tile.
            widths.extend(width.filter(|width| *width > 0 && *width.to_string() == *name));
        }
        widths.sort_unstable();
        Ok(widths)
    }

    fn notes_above(&self, size: u64) -> io::Result<Vec<u64>> {
        let mut sizes = Vec::new();
        let mut folders = vec!["notes".to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in there(fs::read_dir(self.0.join(&folder)))?.into_iter().flatten() {
                let entry = entry?;
                let Some(path) = entry.file_name().to_str().map(|name| format!("{folder}/{name}")) else {
                    continue;
                };
                if entry.file_type()?.is_dir() {
                    // `x001` and such, where a note could be below.
                    folders.extend(Some(path).filter(|path| is_note(&format!("{path}/000")).is_some()));
                } else {
                    sizes.extend(is_note(&path).filter(|found| *found > size));
                }
            }
        }
        sizes.sort_unstable();
        Ok(sizes)
    }
}

/// The tree size of the note at a path, if that is the path of one.
fn is_note(path: &str) -> Option<u64> {
    match path.parse() {
        Ok(LogPath::Note { size }) => Some(size),
        _ => None,
    }
}

/// `None` where there is nothing.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads to the end, or refuses what is larger than a resource can be.
pub(crate) fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_RESOURCE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_RESOURCE_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
