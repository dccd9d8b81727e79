//! Datasets and logs in memory.

use std::collections::BTreeMap;
use std::io::{self, Read};

use trialseal_verify::Source;
use trialseal_verify::files::{FileError, Files, Misfit};

/// Files by name.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    names: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    pub(crate) fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self { names: files.keys().cloned().collect(), files }
    }
}

impl Files for Memory {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn misfits(&self) -> &[Misfit] {
        &[]
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, FileError> {
        let file = self.files.get(name).ok_or(FileError::Unreadable(io::ErrorKind::NotFound))?;
        Ok(Box::new(file.as_slice()))
    }

    fn error(&self, error: &io::Error) -> FileError {
        FileError::Unreadable(error.kind())
    }
}

impl Source for Memory {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.get(path).cloned())
    }

    fn partials(&self, path: &str) -> io::Result<Vec<u8>> {
        let folder = format!("{path}.p/");
        let widths = self.names.iter().filter_map(|name| name.strip_prefix(&folder)?.parse().ok());
        Ok(widths.collect())
    }
}
