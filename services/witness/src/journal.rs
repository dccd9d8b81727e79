//! What a witness must not forget: the newest cosigned checkpoint of each log, in one file that is appended to.
//!
//! `journal` begins with [`FIRST_LINE`]; then come frames ([`frame`]), each written and synced in one go. The first frame
//! is there since the file is: a journal that grew large is written anew, with the newest notes alone, beside the old one,
//! synced, and renamed over it. A frame that was being written when the machine stopped is cut off; it was told to nobody.
//! Any other damage is refused, for what cannot be read may have been a larger tree.

mod frame;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

const FIRST_LINE: &str = "trialseal-witness journal 1\n";
/// The journal's file in the folder.
pub(crate) const FILE: &str = "journal";

/// A journal is written anew when it is larger than this and than [`GROWN`] times what it began with. A start reads that
/// much in well below a second.
const LARGE_BYTES: u64 = 8 << 20;
/// See [`LARGE_BYTES`]; so that writing anew costs little beside what was appended in between.
const GROWN: u64 = 4;

/// Keeps notes. What it has taken is durable when it returns; after an error nothing is known, and it must not be used
/// again.
pub(crate) trait Storage: Send + 'static {
    /// Adds notes that were made together.
    fn append(&mut self, notes: &[&str]) -> io::Result<()>;
    /// Whether so much was added that it should be written anew.
    fn is_large(&self) -> bool;
    /// Writes it anew: with these notes alone.
    fn rewrite(&mut self, notes: &[&str]) -> io::Result<()>;
}

/// The journal of a folder.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    file: File,
    bytes: u64,
    /// Its size when it was written anew last.
    began_bytes: u64,
}

impl Journal {
    /// Makes the journal of a witness that has not cosigned anything. One that is there already is replaced.
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        Self::write(dir, &[])
    }

    /// Reads the journal: its notes, oldest first. They may be in the operating system's memory only, if the sync after them
    /// failed: [`rewrite`](Storage::rewrite) before anything is told to anybody.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Vec<String>)> {
        let path = dir.join(FILE);
        let text = fs::read(&path).with_context(|| {
            format!("cannot read {}, without which this witness must not cosign again", path.display())
        })?;
        let Read { notes, bytes } = match read(&text) {
            Ok(read) => read,
            Err(at) => bail!(
                "{} is damaged at byte {at}: what cannot be read may have been a larger tree, so this witness has to be \
                 retired (docs/witness.md)",
                path.display()
            ),
        };
        if bytes < text.len() {
            tracing::warn!(
                bytes = text.len() - bytes,
                "what was being written when the witness stopped is cut off"
            );
        }
        let file = OpenOptions::new().append(true).open(&path)?;
        let bytes = bytes as u64;
        file.set_len(bytes)?;
        Ok((Self { dir: dir.to_owned(), file, bytes, began_bytes: bytes }, notes))
    }

    /// A crash at any point leaves the old journal or the new one, each whole.
    fn write(dir: &Path, notes: &[&str]) -> io::Result<Self> {
        let beside = dir.join("journal.new");
        let mut options = OpenOptions::new();
        let mut file = options.create(true).write(true).truncate(true).mode(0o644).open(&beside)?;
        let text = [FIRST_LINE.as_bytes(), &frame::encode(notes.iter().copied())].concat();
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, dir.join(FILE))?;
        File::open(dir)?.sync_all()?;
        let bytes = text.len() as u64;
        Ok(Self { dir: dir.to_owned(), file, bytes, began_bytes: bytes })
    }
}

impl Storage for Journal {
    fn append(&mut self, notes: &[&str]) -> io::Result<()> {
        let frame = frame::encode(notes.iter().copied());
        self.file.write_all(&frame)?;
        let began = Instant::now();
        self.file.sync_data()?;
        metrics::histogram!("trialseal_witness_sync_seconds").record(began.elapsed().as_secs_f64());
        self.bytes += frame.len() as u64;
        Ok(())
    }

    fn is_large(&self) -> bool {
        self.bytes > LARGE_BYTES.max(GROWN * self.began_bytes)
    }

    fn rewrite(&mut self, notes: &[&str]) -> io::Result<()> {
        *self = Self::write(&self.dir, notes)?;
        Ok(())
    }
}

/// What could be read, and how many bytes that was.
struct Read {
    notes: Vec<String>,
    bytes: usize,
}

/// Reads a journal; fails with the first byte of what was damaged.
fn read(text: &[u8]) -> Result<Read, usize> {
    if !text.starts_with(FIRST_LINE.as_bytes()) {
        return Err(0);
    }
    let first = FIRST_LINE.len();
    let (mut notes, mut bytes) = (Vec::new(), first);
    while bytes < text.len() {
        match frame::decode(&text[bytes..]) {
            Some((more, length)) => {
                notes.extend(more);
                bytes += length;
            }
            None if bytes > first && frame::is_torn(&text[bytes..]) => break,
            None => return Err(bytes),
        }
    }
    // The first frame was synced before the file got its name.
    if bytes == first { Err(first) } else { Ok(Read { notes, bytes }) }
}
