//! Lines set aside while the record is written, to be read again once it is complete. All tables of an export share one
//! encrypted file, so that neither open files nor the lines in memory grow with the number of tables.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use trialseal_vault::DataKey;
use trialseal_vault::file::{SealedReader, SealedWriter};
use uuid::Uuid;

use crate::file::SPOOL;

/// Lines of one part wait in memory until they have this many bytes, a chunk of a sealed file.
const BLOCK_BYTES: usize = 64 << 10;

/// Lines of all parts together may wait for this many bytes; then all are written, however few they are.
const WAITING_BYTES: usize = 16 << 20;

/// Lines that are read together, such as the rows of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part(usize);

/// Lines that were encrypted together: where in the file, and how many bytes there.
struct Block {
    at: u64,
    bytes: usize,
}

/// A spool that is being filled. Its file has no name by the time it is used, so that nothing is left of it however the
/// export ends.
pub(crate) struct Spool {
    file: SpoolFile,
    /// Where the next block goes.
    end: u64,
    parts: Vec<Filling>,
    waiting_bytes: usize,
}

#[derive(Default)]
struct Filling {
    waiting: Vec<u8>,
    blocks: Vec<Block>,
}

impl Spool {
    pub(crate) fn create(folder: &Path, export: Uuid, key: Arc<DataKey>) -> io::Result<Self> {
        let path = folder.join(format!("{export}.{SPOOL}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        fs::remove_file(&path)?;
        Ok(Self { file: SpoolFile { file, export, key }, end: 0, parts: Vec::new(), waiting_bytes: 0 })
    }

    /// Begins a part, empty.
    pub(crate) fn part(&mut self) -> Part {
        self.parts.push(Filling::default());
        Part(self.parts.len() - 1)
    }

    /// Adds a line, which holds no line end, to a part.
    pub(crate) fn line(&mut self, part: Part, line: &[u8]) -> io::Result<()> {
        let waiting = &mut self.parts[part.0].waiting;
        waiting.extend_from_slice(line);
        waiting.push(b'\n');
        let is_full = waiting.len() >= BLOCK_BYTES;
        self.waiting_bytes += line.len() + 1;
        if is_full {
            self.write(part)?;
        }
        if self.waiting_bytes > WAITING_BYTES { self.write_all() } else { Ok(()) }
    }

    fn write_all(&mut self) -> io::Result<()> {
        (0..self.parts.len()).try_for_each(|part| self.write(Part(part)))
    }

    /// Writes what waits of a part, and gives its memory back.
    fn write(&mut self, part: Part) -> io::Result<()> {
        let filling = &mut self.parts[part.0];
        let lines = std::mem::take(&mut filling.waiting);
        if lines.is_empty() {
            return Ok(());
        }
        self.waiting_bytes -= lines.len();
        let bytes = self.file.append(self.end, &lines)?;
        filling.blocks.push(Block { at: self.end, bytes });
        self.end += bytes as u64;
        Ok(())
    }

    /// Ends the writing; each part can be read any number of times.
    pub(crate) fn finish(mut self) -> io::Result<Spooled> {
        self.write_all()?;
        Ok(Spooled { file: self.file, parts: self.parts.into_iter().map(|part| part.blocks).collect() })
    }
}

/// A finished [`Spool`].
pub(crate) struct Spooled {
    file: SpoolFile,
    parts: Vec<Vec<Block>>,
}

impl Spooled {
    /// Gives `take` each line of a part, in order.
    pub(crate) fn for_each<E: From<io::Error>>(
        &self,
        part: Part,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for block in &self.parts[part.0] {
            let lines = self.file.read(block)?;
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                take(line.strip_suffix(b"\n").unwrap_or(line))?;
            }
        }
        Ok(())
    }
}

/// The file. Each block is a sealed file of its own, bound to its place in this one.
struct SpoolFile {
    file: File,
    export: Uuid,
    key: Arc<DataKey>,
}

impl SpoolFile {
    fn context(&self, at: u64) -> Vec<u8> {
        format!("export-spool/{}/{at}", self.export).into_bytes()
    }

    /// Writes a block to the end of the file, which is `at`, and answers its size there.
    fn append(&self, at: u64, lines: &[u8]) -> io::Result<usize> {
        let mut sealed = SealedWriter::new(Vec::new(), &self.key, &self.context(at))?;
        sealed.write_all(lines)?;
        let sealed = sealed.finish()?;
        (&self.file).write_all(&sealed)?;
        Ok(sealed.len())
    }

    fn read(&self, block: &Block) -> io::Result<Vec<u8>> {
        let mut sealed = vec![0; block.bytes];
        (&self.file).seek(SeekFrom::Start(block.at))?;
        (&self.file).read_exact(&mut sealed)?;
        let mut lines = Vec::with_capacity(block.bytes);
        SealedReader::new(&*sealed, &self.key, &self.context(block.at))?.read_to_end(&mut lines)?;
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use trialseal_record::ids::Scope;

    use super::*;
    use crate::testing::{Ledger, trial};

    const EXPORT: Uuid = Uuid::from_u128(1);

    async fn spool(folder: &Path) -> Spool {
        let ledger = Ledger::new().await;
        let key = ledger.vault.key_of(&Scope::File(trial("DEMO-1"), EXPORT)).await.unwrap();
        Spool::create(folder, EXPORT, key).unwrap()
    }

    fn lines(spooled: &Spooled, part: Part) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let read = spooled.for_each(part, |line| {
            lines.push(line.to_vec());
            Ok::<_, io::Error>(())
        });
        read.unwrap();
        lines
    }

    #[actix_web::test]
    async fn each_part_gives_its_own_lines_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = spool(folder.path()).await;
        let parts: Vec<_> = (0..3).map(|_| spool.part()).collect();
        let empty = spool.part();
        let long = vec![b'x'; 3 * BLOCK_BYTES];
        for number in 0..20_000_u32 {
            let part = parts[number as usize % parts.len()];
            spool.line(part, number.to_string().as_bytes()).unwrap();
        }
        spool.line(parts[1], &long).unwrap();
        spool.line(parts[1], b"").unwrap();
        let spooled = spool.finish().unwrap();
        for (first, part) in (0..).zip(&parts) {
            let mut expected: Vec<_> =
                (first..20_000_u32).step_by(3).map(|number| number.to_string().into_bytes()).collect();
            if first == 1 {
                expected.extend([long.clone(), Vec::new()]);
            }
            assert_eq!(lines(&spooled, *part), expected);
            assert_eq!(lines(&spooled, *part), expected, "a second time");
        }
        assert_eq!(lines(&spooled, empty), Vec::<Vec<u8>>::new());
    }

    #[actix_web::test]
    async fn however_many_parts_there_are_little_of_them_waits_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = spool(folder.path()).await;
        let line = [b'x'; 2_000];
        let parts: Vec<_> = (0..3_000).map(|_| spool.part()).collect();
        for _ in 0..6 {
            for part in &parts {
                spool.line(*part, &line).unwrap();
                let waiting: usize = spool.parts.iter().map(|part| part.waiting.len()).sum();
                assert_eq!(waiting, spool.waiting_bytes);
                assert!(waiting <= WAITING_BYTES);
            }
        }
        let spooled = spool.finish().unwrap();
        assert!(parts.iter().all(|part| lines(&spooled, *part) == vec![line; 6]));
    }

    #[cfg(target_os = "linux")]
    #[actix_web::test]
    async fn all_parts_share_one_open_file_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = spool(folder.path()).await;
        for _ in 0..2_000 {
            let part = spool.part();
            spool.line(part, &[b'x'; BLOCK_BYTES / 16]).unwrap();
        }
        let open = fs::read_dir("/proc/self/fd").unwrap().filter(|file| {
            let target = file.as_ref().ok().and_then(|file| fs::read_link(file.path()).ok());
            target.is_some_and(|target| target.starts_with(folder.path()))
        });
        assert_eq!(open.count(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
