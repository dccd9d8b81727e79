//! Pieces of bytes set aside to be read again in any order, without holding them in memory.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

/// An append-only list of byte strings in a temporary file that has no name: it is gone when the program ends,
/// however it ends. Memory is 8 bytes a piece.
#[derive(Debug)]
pub(crate) struct Spool {
    file: BufWriter<File>,
    ends: Vec<u64>,
}

impl Spool {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile()?), ends: Vec::new() })
    }

    pub(crate) fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)?;
        self.ends.push(self.ends.last().copied().unwrap_or_default() + piece.len() as u64);
        Ok(())
    }

    /// The number of pieces so far.
    pub(crate) fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Ends the writing.
    pub(crate) fn finish(self) -> io::Result<Spooled> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Spooled { file, ends: self.ends })
    }
}

/// A finished [`Spool`].
#[derive(Debug)]
pub(crate) struct Spooled {
    file: File,
    ends: Vec<u64>,
}

impl Spooled {
    /// The piece at `index`, if there is one.
    pub(crate) fn get(&mut self, index: u64) -> io::Result<Option<Vec<u8>>> {
        let place = usize::try_from(index).ok();
        let Some(end) = place.and_then(|place| self.ends.get(place)).copied() else { return Ok(None) };
        let start = place.and_then(|place| place.checked_sub(1)).and_then(|place| self.ends.get(place));
        let start = start.copied().unwrap_or_default();
        let mut piece = Vec::new();
        self.file.seek(SeekFrom::Start(start))?;
        Read::by_ref(&mut self.file).take(end - start).read_to_end(&mut piece)?;
        Ok(Some(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_in_any_order() {
        let mut spool = Spool::new().unwrap();
        for piece in [&b"one"[..], b"", b"three"] {
            spool.push(piece).unwrap();
        }
        assert_eq!(spool.len(), 3);
        let mut pieces = spool.finish().unwrap();
        assert_eq!(pieces.get(2).unwrap().as_deref(), Some(&b"three"[..]));
        assert_eq!(pieces.get(1).unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(pieces.get(0).unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(pieces.get(3).unwrap(), None);
    }
}
