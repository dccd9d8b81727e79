//! The files of a dataset, from a folder or from a ZIP, read as bytes from a stranger.

use std::fmt::Debug;
use std::io::{self, Read};

mod folder;
mod zip;

pub use self::folder::Folder;
pub use self::zip::Zip;

/// Most files in a dataset. A trial has some dozens of tables.
pub const MAX_FILES: usize = 10_000;
/// A file from a ZIP may unpack to this many bytes whatever its packed size.
pub const FREE_UNPACKED_BYTES: u64 = 64 << 20;
/// Beyond [`FREE_UNPACKED_BYTES`], a file from a ZIP may unpack to this many times its packed size. Tables and records
/// come to some 10 to 50; an archive made to exhaust its reader comes to 1,000.
pub const MAX_UNPACK_RATIO: u64 = 300;

/// Why a file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system could not read it.
    #[error("it cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// The archive that holds it is damaged there.
    #[error("the archive is damaged here")]
    Damaged,
    /// It is larger than this program reads.
    #[error("it is larger than this program reads")]
    TooLarge,
    /// It is encrypted, or packed in a way that this program does not know.
    #[error("it is packed or encrypted in a way that this program does not read")]
    Unsupported,
}

/// Something in the folder or archive that cannot be a file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Its path, as far as it can be shown.
    pub name: String,
    /// Stable name of the rule.
    pub code: &'static str,
    /// What is wrong with it.
    pub message: &'static str,
}

/// A dataset's files. Names use `/`; they are as found, not checked.
pub trait Files: Debug {
    /// The names of all plain files.
    fn names(&self) -> &[String];
    /// What is there and is no plain file that could be read safely.
    fn misfits(&self) -> &[Misfit];
    /// Begins to read the file with this name.
    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, FileError>;
    /// What an error of a reader that [`open`](Self::open) gave means.
    fn error(&self, error: &io::Error) -> FileError;
}
