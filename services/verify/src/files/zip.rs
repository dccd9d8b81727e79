//! A dataset in a ZIP.

use std::collections::HashMap;
use std::io::{self, Read, Seek};

use zip::{CompressionMethod, ZipArchive};

use super::{FREE_UNPACKED_BYTES, FileError, Files, MAX_FILES, MAX_UNPACK_RATIO, Misfit};

const FILE_TYPE_BITS: u32 = 0o170_000;
const REGULAR_FILE: u32 = 0o100_000;

/// The files of an archive. It must hold nothing but plain or deflated files, each once.
#[derive(Debug)]
pub struct Zip<R: Read + Seek> {
    archive: ZipArchive<R>,
    names: Vec<String>,
    places: HashMap<String, usize>,
    misfits: Vec<Misfit>,
}

impl<R: Read + Seek> Zip<R> {
    /// Reads the archive's directory.
    ///
    /// # Errors
    /// [`FileError::Damaged`] where this is no ZIP or its directory contradicts itself, [`FileError::TooLarge`] beyond
    /// [`MAX_FILES`].
    pub fn open(reader: R) -> Result<Self, FileError> {
        let archive = ZipArchive::new(reader).map_err(|_| FileError::Damaged)?;
        if archive.len() > MAX_FILES {
            return Err(FileError::TooLarge);
        }
        let mut zip = Self { archive, names: Vec::new(), places: HashMap::new(), misfits: Vec::new() };
        zip.list()?;
        Ok(zip)
    }

    fn list(&mut self) -> Result<(), FileError> {
        let whole = |code, message| Misfit { name: "the archive".into(), code, message };
        if self.archive.has_duplicate_names() {
            self.misfits.push(whole("file-twice", "a name stands twice in it"));
        }
        if self.archive.has_overlapping_entries().map_err(|_| FileError::Damaged)? {
            self.misfits.push(whole("zip-overlap", "files overlap in it"));
        }
        for place in 0..self.archive.len() {
            let entry = self.archive.by_index_raw(place).map_err(|_| FileError::Damaged)?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let kind = entry.unix_mode().map_or(0, |mode| mode & FILE_TYPE_BITS);
            let plain = kind == 0 || kind == REGULAR_FILE;
            let packed =
                matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated);
            let problem = if name.as_bytes() != entry.name_raw() {
                Some(("file-path", "its name is no UTF-8"))
            } else if entry.is_symlink() {
                Some(("file-link", "this is a link"))
            } else if entry.encrypted() {
                Some(("zip-encrypted", "it is encrypted"))
            } else if is_tables_folder(&name) && entry.size() == 0 {
                continue;
            } else if !plain {
                Some(("file-special", "this is no plain file"))
            } else if !packed {
                Some(("zip-method", "it is packed in a way that is not read here"))
            } else {
                None
            };
            if let Some((code, message)) = problem {
                self.misfits.push(Misfit { name, code, message });
            } else {
                self.names.push(name.clone());
                self.places.insert(name, place);
            }
        }
        Ok(())
    }
}

/// Whether an entry only says that the folder of tables, or one in it, is there: archivers add such entries.
fn is_tables_folder(name: &str) -> bool {
    name == "data/" || name.starts_with("data/") && name.ends_with('/') && !name.contains("..")
}

impl<R: Read + Seek + std::fmt::Debug> Files for Zip<R> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn misfits(&self) -> &[Misfit] {
        &self.misfits
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, FileError> {
        let place = *self.places.get(name).ok_or(FileError::Damaged)?;
        let entry = self.archive.by_index(place).map_err(|_| FileError::Damaged)?;
        let limit = entry.compressed_size().saturating_mul(MAX_UNPACK_RATIO).max(FREE_UNPACKED_BYTES);
        Ok(Box::new(Bounded { inner: entry, left: limit }))
    }

    fn error(&self, error: &io::Error) -> FileError {
        match error.kind() {
            io::ErrorKind::FileTooLarge => FileError::TooLarge,
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::Other => FileError::Damaged,
            kind => FileError::Unreadable(kind),
        }
    }
}

/// Ends with an error, and not with a plain end, where more comes than is allowed.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        fill(&mut writer);
        writer.finish().unwrap().into_inner()
    }

    fn misfit_codes(bytes: Vec<u8>) -> Vec<&'static str> {
        Zip::open(Cursor::new(bytes)).unwrap().misfits.iter().map(|misfit| misfit.code).collect()
    }

    #[test]
    fn names_are_given_as_they_stand() {
        let bytes = archive(|zip| {
            for name in ["../evil", "/abs", "data\\x", "data/a.json"] {
                zip.start_file(name, SimpleFileOptions::default()).unwrap();
            }
        });
        let zip = Zip::open(Cursor::new(bytes)).unwrap();
        assert_eq!(zip.names, ["../evil", "/abs", "data\\x", "data/a.json"]);
    }

    #[test]
    fn links_are_misfits_and_folders_of_tables_are_nothing() {
        let bytes = archive(|zip| {
            zip.add_directory("data/", SimpleFileOptions::default()).unwrap();
            zip.add_symlink("head.json", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        });
        assert_eq!(misfit_codes(bytes), ["file-link"]);
    }

    #[test]
    fn a_name_that_stands_twice_is_noticed() {
        let mut bytes = archive(|zip| {
            for name in ["aaaa", "bbbb"] {
                zip.start_file(name, SimpleFileOptions::default()).unwrap();
            }
        });
        for place in 0..bytes.len() - 4 {
            if &bytes[place..place + 4] == b"bbbb" {
                bytes[place..place + 4].copy_from_slice(b"aaaa");
            }
        }
        assert!(misfit_codes(bytes).contains(&"file-twice"));
    }

    #[test]
    fn a_file_that_unpacks_out_of_proportion_is_not_read_to_its_end() {
        let bytes = archive(|zip| {
            zip.start_file("record.ndjson", SimpleFileOptions::default()).unwrap();
            let zeros = vec![0; 1 << 20];
            (0..=FREE_UNPACKED_BYTES >> 20).for_each(|_| zip.write_all(&zeros).unwrap());
        });
        let mut zip = Zip::open(Cursor::new(bytes)).unwrap();
        let error = io::copy(&mut zip.open("record.ndjson").unwrap(), &mut io::sink()).unwrap_err();
        assert!(matches!(zip.error(&error), FileError::TooLarge));
    }
}
