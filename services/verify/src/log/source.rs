//! Where a published log is read from.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

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
}

/// A log in a folder.
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
        match File::open(self.0.join(path)) {
            Ok(file) => bounded(file).map(Some),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn partials(&self, path: &str) -> io::Result<Vec<u8>> {
        let listed = match fs::read_dir(self.0.join(format!("{path}.p"))) {
            Ok(listed) => listed,
            Err(error) if absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut widths = Vec::new();
        for entry in listed {
            let width: Option<u8> = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            widths.extend(width.filter(|width| *width > 0));
        }
        widths.sort_unstable();
        Ok(widths)
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Reads to the end, or refuses what is larger than a resource can be.
pub(crate) fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_RESOURCE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_RESOURCE_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
