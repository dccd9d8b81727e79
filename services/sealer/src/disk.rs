//! What publishing to a folder asks of the file system, call by call, so that a test can let each of them fail.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{Result, Write};
use std::path::Path;

/// The calls of the file system that [`Folder`](crate::Folder) makes.
pub trait Disk: Debug + Send + Sync {
    /// Makes a folder and those above it where they are missing.
    fn make_folders(&self, folder: &Path) -> Result<()>;
    /// Makes a file, or empties the one that is there.
    fn create(&self, file: &Path) -> Result<File>;
    /// Writes all the bytes.
    fn write(&self, file: &mut File, bytes: &[u8]) -> Result<()>;
    /// Returns once the bytes of a file outlive a power cut.
    fn sync(&self, file: &File) -> Result<()>;
    /// Puts a file into the place of another, at once.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Returns once the names in a folder outlive a power cut.
    fn sync_folder(&self, folder: &Path) -> Result<()>;
    /// Reads a whole file.
    fn read(&self, file: &Path) -> Result<Vec<u8>>;
    /// Removes a folder with all that is in it.
    fn remove_folder(&self, folder: &Path) -> Result<()>;
}

/// The operating system's file system.
#[derive(Debug)]
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn make_folders(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)
    }

    fn create(&self, file: &Path) -> Result<File> {
        File::create(file)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> Result<()> {
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> Result<()> {
        File::open(folder)?.sync_all()
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>> {
        fs::read(file)
    }

    fn remove_folder(&self, folder: &Path) -> Result<()> {
        fs::remove_dir_all(folder)
    }
}
