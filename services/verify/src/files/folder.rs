//! A dataset in a folder.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{FileError, Files, MAX_FILES, Misfit};

/// Deepest folder below the dataset's own: tables need one, and a few more do no harm.
const MAX_DEPTH: usize = 8;

/// The files below a folder. Links, sockets, devices and the like are never opened.
#[derive(Debug)]
pub struct Folder {
    names: Vec<String>,
    paths: HashMap<String, PathBuf>,
    misfits: Vec<Misfit>,
}

impl Folder {
    /// Lists a folder.
    ///
    /// # Errors
    /// [`FileError::Unreadable`] where some folder cannot be listed, [`FileError::TooLarge`] beyond [`MAX_FILES`].
    pub fn open(root: &Path) -> Result<Self, FileError> {
        let mut folder = Self { names: Vec::new(), paths: HashMap::new(), misfits: Vec::new() };
        folder.list(root, "", 0).map_err(|error| FileError::Unreadable(error.kind()))?;
        if folder.names.len() + folder.misfits.len() > MAX_FILES {
            return Err(FileError::TooLarge);
        }
        folder.names.sort_unstable();
        Ok(folder)
    }

    fn list(&mut self, path: &Path, prefix: &str, depth: usize) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            if self.names.len() + self.misfits.len() > MAX_FILES {
                break;
            }
            let entry = entry?;
            let kind = entry.file_type()?;
            let lossy = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let mut misfit = |code, message| self.misfits.push(Misfit { name: lossy.clone(), code, message });
            if kind.is_symlink() {
                misfit("file-link", "this is a link");
            } else if entry.file_name().to_str().is_none() {
                misfit("file-path", "its name is no UTF-8");
            } else if kind.is_dir() && depth == MAX_DEPTH {
                misfit("file-path", "it lies too deep");
            } else if kind.is_dir() {
                self.list(&entry.path(), &format!("{lossy}/"), depth + 1)?;
            } else if kind.is_file() {
                self.names.push(lossy.clone());
                self.paths.insert(lossy, entry.path());
            } else {
                misfit("file-special", "this is no plain file");
            }
        }
        Ok(())
    }
}

impl Files for Folder {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn misfits(&self) -> &[Misfit] {
        &self.misfits
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, FileError> {
        let path = self.paths.get(name).ok_or(FileError::Unreadable(io::ErrorKind::NotFound))?;
        let file = File::open(path).map_err(|error| self.error(&error))?;
        Ok(Box::new(file))
    }

    fn error(&self, error: &io::Error) -> FileError {
        FileError::Unreadable(error.kind())
    }
}
