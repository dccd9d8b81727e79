//! A dataset in a folder.

use std::collections::HashMap;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{FileError, Files, MAX_FILES, Misfit};

/// The files below a folder. Links, sockets, devices and the like are never opened.
#[derive(Debug)]
pub struct Folder {
    names: Vec<String>,
    paths: HashMap<String, PathBuf>,
    misfits: Vec<Misfit>,
}

impl Folder {
    /// Lists a folder and those below it.
    ///
    /// # Errors
    /// [`FileError::Unreadable`] where some folder cannot be listed, [`FileError::TooLarge`] where files and folders
    /// together are more than [`MAX_FILES`].
    pub fn open(root: &Path) -> Result<Self, FileError> {
        let mut folder = Self { names: Vec::new(), paths: HashMap::new(), misfits: Vec::new() };
        let unreadable = |error: io::Error| FileError::Unreadable(error.kind());
        // Folders wait here for their turn: at any depth only one of them is open.
        let mut waiting = vec![(root.to_owned(), String::new())];
        let mut seen = 0;
        while let Some((path, prefix)) = waiting.pop() {
            for entry in fs::read_dir(path).map_err(unreadable)? {
                seen += 1;
                if seen > MAX_FILES {
                    return Err(FileError::TooLarge);
                }
                waiting.extend(folder.take(&entry.map_err(unreadable)?, &prefix).map_err(unreadable)?);
            }
        }
        folder.names.sort_unstable();
        folder.misfits.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(folder)
    }

    /// Takes one entry; a folder is given back, with what the names of its files begin with.
    fn take(&mut self, entry: &DirEntry, prefix: &str) -> io::Result<Option<(PathBuf, String)>> {
        let kind = entry.file_type()?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if kind.is_symlink() {
            self.misfits.push(Misfit { name, code: "file-link", message: "this is a link" });
        } else if entry.file_name().to_str().is_none() {
            self.misfits.push(Misfit { name, code: "file-path", message: "its name is no UTF-8" });
        } else if kind.is_dir() {
            return Ok(Some((entry.path(), name + "/")));
        } else if kind.is_file() {
            self.names.push(name.clone());
            self.paths.insert(name, entry.path());
        } else {
            self.misfits.push(Misfit { name, code: "file-special", message: "this is no plain file" });
        }
        Ok(None)
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
        match error.kind() {
            io::ErrorKind::FileTooLarge => FileError::TooLarge,
            kind => FileError::Unreadable(kind),
        }
    }
}
