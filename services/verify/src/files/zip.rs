//! A dataset in a ZIP.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive, ZipReadOptions};

use super::{FREE_UNPACKED_BYTES, FileError, Files, MAX_FILES, MAX_UNPACK_RATIO, Misfit};

const FILE_TYPE_BITS: u32 = 0o170_000;
const REGULAR_FILE: u32 = 0o100_000;

/// How an entry of the archive's directory begins, and how long its part of fixed length is.
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;

/// The files of an archive. It must hold nothing but plain files, each once, and what it says of them must be the same
/// wherever it says it: two programs that unpack it must not come to see different things.
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
    /// [`MAX_FILES`], [`FileError::Unsupported`] where it is of a kind that is not read here (of several disks),
    /// [`FileError::Unreadable`] where the system cannot read it.
    pub fn open(reader: R) -> Result<Self, FileError> {
        let mut archive = ZipArchive::new(reader).map_err(|error| meaning(&error))?;
        if archive.len() > MAX_FILES {
            return Err(FileError::TooLarge);
        }
        let mut misfits = Vec::new();
        if archive.has_duplicate_names() {
            let start = archive.central_directory_start();
            let mut reader = archive.into_inner();
            misfits.extend(names_that_stand_twice(&mut reader, start)?);
            archive = ZipArchive::new(reader).map_err(|error| meaning(&error))?;
        }
        let mut zip = Self { archive, names: Vec::new(), places: HashMap::new(), misfits };
        zip.list()?;
        zip.check_consistency()?;
        Ok(zip)
    }

    fn list(&mut self) -> Result<(), FileError> {
        for place in 0..self.archive.len() {
            let entry = self.archive.by_index_data(place).map_err(|error| meaning(&error))?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let kind = entry.unix_mode().map_or(0, |mode| mode & FILE_TYPE_BITS);
            let plain = kind == 0 || kind == REGULAR_FILE;
            let problem = if name.as_bytes() != entry.name_raw() {
                Some(("file-path", "its name is no UTF-8"))
            } else if entry.is_symlink() {
                Some(("file-link", "this is a link"))
            } else if is_tables_folder(&name) && entry.size() == 0 {
                continue;
            } else if !plain {
                Some(("file-special", "this is no plain file"))
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

    /// Each file's own header has to say what the directory says of it, no two files may share bytes, and no further
    /// header may lie between them: programs that unpack front to back go by the headers alone.
    fn check_consistency(&mut self) -> Result<(), FileError> {
        if self.archive.has_duplicate_names() {
            // Refused already; which of two entries a header belongs to cannot be said.
            return Ok(());
        }
        let mut consistent = true;
        for place in 0..self.archive.len() {
            let options = ZipReadOptions::new().enforce_header_consistency(true);
            let error = self.archive.by_index_with_options(place, options).err();
            match error.map(|error| meaning(&error)) {
                None | Some(FileError::Unsupported) => {}
                Some(FileError::Damaged) => {
                    let entry = self.archive.by_index_data(place).map_err(|error| meaning(&error))?;
                    let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
                    let message =
                        "its own header in the archive is not what the archive's directory says of it";
                    self.misfits.push(Misfit { name, code: "zip-header", message });
                    consistent = false;
                }
                Some(error) => return Err(error),
            }
        }
        if !consistent {
            return Ok(());
        }
        let whole = |code, message| Misfit { name: "the archive".into(), code, message };
        if self.archive.has_overlapping_entries().map_err(|error| meaning(&error))? {
            self.misfits.push(whole("zip-overlap", "files overlap in it"));
            return Ok(());
        }
        match self.archive.validate_header_consistency().map_err(|error| meaning(&error)) {
            Ok(()) => {}
            Err(FileError::Damaged) => {
                let message = "a file lies in it that its directory does not list";
                self.misfits.push(whole("zip-hidden-file", message));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What an error of the archive's reader means. Only what the archive itself says wrong is damage.
fn meaning(error: &ZipError) -> FileError {
    match error {
        ZipError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => FileError::Damaged,
        ZipError::Io(error) => FileError::Unreadable(error.kind()),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            FileError::Unsupported
        }
        _ => FileError::Damaged,
    }
}

/// Reads the names in the archive's directory, which begins at `start`, and reports those that it has twice: the archive's
/// reader keeps only one of each.
fn names_that_stand_twice(reader: &mut (impl Read + Seek), start: u64) -> Result<Vec<Misfit>, FileError> {
    let unreadable = |error: io::Error| meaning(&ZipError::Io(error));
    let mut reader = BufReader::new(reader);
    reader.seek(SeekFrom::Start(start)).map_err(unreadable)?;
    let (mut seen, mut twice) = (HashSet::new(), BTreeSet::new());
    let mut fixed = [0; ENTRY_BYTES];
    while reader.read_exact(&mut fixed).is_ok() && fixed.starts_with(ENTRY_SIGNATURE) {
        let length = |at: usize| usize::from(u16::from_le_bytes([fixed[at], fixed[at + 1]]));
        let mut name = vec![0; length(28)];
        reader.read_exact(&mut name).map_err(unreadable)?;
        let behind = i64::try_from(length(30) + length(32)).unwrap_or_default();
        reader.seek_relative(behind).map_err(unreadable)?;
        if !seen.insert(name.clone()) {
            twice.insert(name);
        }
    }
    if twice.is_empty() {
        // Names that are given in another field of the entry.
        twice.insert(b"the archive".to_vec());
    }
    let misfit = |name: Vec<u8>| Misfit {
        name: String::from_utf8_lossy(&name).into_owned(),
        code: "file-twice",
        message: "this name stands twice in the archive",
    };
    Ok(twice.into_iter().map(misfit).collect())
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
        let place = *self.places.get(name).ok_or(FileError::Unreadable(io::ErrorKind::NotFound))?;
        let entry = self.archive.by_index(place).map_err(|error| meaning(&error))?;
        // Whatever else this build's archive reader may know, a dataset is read alike everywhere.
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(FileError::Unsupported);
        }
        let limit = entry.compressed_size().saturating_mul(MAX_UNPACK_RATIO).max(FREE_UNPACKED_BYTES);
        Ok(Box::new(Bounded { inner: entry, left: limit }))
    }

    fn error(&self, error: &io::Error) -> FileError {
        match error.kind() {
            // The system's own errors come with a number, those of the unpacking without.
            kind if error.raw_os_error().is_some() => FileError::Unreadable(kind),
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

    fn misfits(bytes: Vec<u8>) -> Vec<(String, &'static str)> {
        let zip = Zip::open(Cursor::new(bytes)).unwrap();
        zip.misfits.into_iter().map(|misfit| (misfit.name, misfit.code)).collect()
    }

    fn of(names: &[&str]) -> Vec<u8> {
        archive(|zip| {
            for name in names {
                zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                zip.write_all(b"content").unwrap();
            }
        })
    }

    /// Replaces a piece of bytes wherever it stands from `nth` on.
    fn replace(bytes: &mut [u8], from: &[u8], to: &[u8], nth: usize) {
        let places: Vec<_> =
            (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
        assert!(places.len() > nth);
        places[nth..].iter().for_each(|at| bytes[*at..*at + to.len()].copy_from_slice(to));
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
        assert_eq!(misfits(bytes), [("head.json".into(), "file-link")]);
    }

    #[test]
    fn a_name_that_stands_twice_is_noticed() {
        let mut bytes = of(&["aaaa", "bbbb", "cccc", "dddd", "eeee"]);
        replace(&mut bytes, b"bbbb", b"aaaa", 0);
        replace(&mut bytes, b"eeee", b"dddd", 0);
        assert_eq!(misfits(bytes), [("aaaa".into(), "file-twice"), ("dddd".into(), "file-twice")]);
    }

    #[test]
    fn a_file_that_two_programs_would_see_differently_is_refused() {
        let whole = of(&["record.ndjson", "head.json"]);
        assert_eq!(misfits(whole.clone()), []);
        // The name in the file's own header is another than in the directory.
        let mut renamed = whole.clone();
        replace(&mut renamed, b"head.json", b"HEAD.json", 1);
        assert_eq!(misfits(renamed), [("HEAD.json".into(), "zip-header")]);
        // A file lies in front that the directory does not list.
        let hidden = of(&["record.ndjson"]);
        let directory = (0..hidden.len()).find(|at| hidden[*at..].starts_with(ENTRY_SIGNATURE)).unwrap();
        let bytes = [&hidden[..directory], &whole].concat();
        assert_eq!(misfits(bytes), [("the archive".into(), "zip-hidden-file")]);
    }

    #[test]
    fn streamed_archives_are_consistent() {
        let mut writer = ZipWriter::new_stream(Vec::new());
        for name in ["record.ndjson", "head.json"] {
            writer.start_file(name, SimpleFileOptions::default().large_file(true)).unwrap();
            writer.write_all(b"content").unwrap();
        }
        assert_eq!(misfits(writer.finish().unwrap().into_inner()), []);
    }

    #[test]
    fn what_is_encrypted_or_packed_in_another_way_is_there_and_not_read() {
        // The method, at 8 bytes from a header's start (10 in the directory); the flags stand 2 bytes before it.
        for (method, flags) in [(12, 0), (8, 1)] {
            let mut bytes = of(&["head.json"]);
            for (signature, at) in [(&b"PK\x03\x04"[..], 8), (ENTRY_SIGNATURE, 10)] {
                let start = (0..bytes.len()).find(|start| bytes[*start..].starts_with(signature)).unwrap();
                (bytes[start + at], bytes[start + at - 2]) = (method, bytes[start + at - 2] | flags);
            }
            let mut zip = Zip::open(Cursor::new(bytes)).unwrap();
            assert_eq!((zip.names(), zip.misfits()), (&["head.json".to_owned()][..], &[][..]));
            assert!(matches!(zip.open("head.json").err(), Some(FileError::Unsupported)), "{method} {flags}");
        }
    }

    /// A disk that cannot read beyond a place.
    #[derive(Debug)]
    struct Broken {
        inner: Cursor<Vec<u8>>,
        whole: u64,
        kind: io::ErrorKind,
    }

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.inner.position() < self.whole { Err(self.kind.into()) } else { self.inner.read(buffer) }
        }
    }

    impl Seek for Broken {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.inner.seek(to)
        }
    }

    #[test]
    fn what_the_system_cannot_read_is_not_called_damaged() {
        let bytes = of(&["record.ndjson", "head.json"]);
        let length = bytes.len() as u64;
        let directory = ZipArchive::new(Cursor::new(bytes.clone())).unwrap().central_directory_start();
        let open = |whole, kind| Zip::open(Broken { inner: Cursor::new(bytes.clone()), whole, kind });
        for whole in [length, directory] {
            let error = open(whole, io::ErrorKind::PermissionDenied).unwrap_err();
            assert!(matches!(error, FileError::Unreadable(io::ErrorKind::PermissionDenied)), "{error:?}");
            let error = open(whole, io::ErrorKind::UnexpectedEof).unwrap_err();
            assert!(matches!(error, FileError::Damaged), "{error:?}");
        }
        let zip = open(0, io::ErrorKind::TimedOut).unwrap();
        let error = zip.error(&io::Error::from_raw_os_error(5));
        assert!(matches!(error, FileError::Unreadable(_)), "{error:?}");
        assert!(matches!(zip.error(&io::ErrorKind::InvalidData.into()), FileError::Damaged));
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
