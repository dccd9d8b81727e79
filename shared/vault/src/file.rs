//! Sealed files: spooled uploads and finished exports, encrypted chunk by chunk as they stream by.
//!
//! A file is a header (the line `trialseal-sealed/v1`, then a 32-byte random salt) and chunks of 64 KiB, the last one
//! of any length up to that, each followed by its 16-byte tag. The file's AES-256-GCM key is derived from the data key,
//! the ledger's origin, the caller's context and the salt, so it is used for this file alone; a chunk's nonce is its
//! number and whether it is the last. So chunks cannot be swapped, repeated, left out at the end, or moved to another
//! file (the construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015, known as STREAM).

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};

use zeroize::Zeroizing;

use crate::aead::{Cipher, NONCE_BYTES, TAG_BYTES};
use crate::data_key::DataKey;
use crate::error::VaultError;
use crate::random;

const MAGIC: &[u8; 20] = b"trialseal-sealed/v1\n";
const SALT_BYTES: usize = 32;
/// Plain bytes of every chunk but the last.
const CHUNK_BYTES: usize = 64 << 10;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// The number of plain bytes in a sealed file of `sealed_bytes`; `None` where no sealed file has that size.
pub fn plain_bytes(sealed_bytes: u64) -> Option<u64> {
    const HEADER: u64 = (MAGIC.len() + SALT_BYTES) as u64;
    let body = sealed_bytes.checked_sub(HEADER)?;
    let chunks = body.div_ceil(SEALED_CHUNK_BYTES as u64).max(1);
    let plain = body.checked_sub(chunks * TAG_BYTES as u64)?;
    // An empty chunk stands only where the whole file is empty.
    (chunks == 1 || plain > (chunks - 1) * CHUNK_BYTES as u64).then_some(plain)
}

/// Numbers a file's chunks and makes their nonces.
struct Chunks {
    cipher: Cipher,
    next: u64,
}

impl Chunks {
    fn nonce(&mut self, last: bool) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce[3..11].copy_from_slice(&self.next.to_be_bytes());
        nonce[11] = u8::from(last);
        self.next += 1;
        nonce
    }
}

/// Encrypts what is written to it. Only a file whose writer was [`finished`](SealedWriter::finish) can be read again.
pub struct SealedWriter<W: Write> {
    inner: W,
    chunks: Chunks,
    /// Plain bytes that wait for their chunk to become full: at most one chunk.
    waiting: Zeroizing<Vec<u8>>,
}

impl<W: Write> SealedWriter<W> {
    /// Begins a file. `context` says what file it is; reading it asks for the same.
    pub fn new(mut inner: W, key: &DataKey, context: &[u8]) -> io::Result<Self> {
        let salt = random::bytes::<SALT_BYTES>().map_err(io::Error::other)?;
        inner.write_all(MAGIC)?;
        inner.write_all(salt.as_slice())?;
        let chunks = Chunks { cipher: key.file_cipher(context, salt.as_slice()), next: 0 };
        Ok(Self { inner, chunks, waiting: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)) })
    }

    /// Writes the last chunk, flushes, and gives the inner writer back (to be synced, if it is a file).
    pub fn finish(mut self) -> io::Result<W> {
        self.write_chunk(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn write_chunk(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.chunks.nonce(last);
        let sealed = self.chunks.cipher.seal_with(&nonce, &[], &self.waiting).map_err(io::Error::other)?;
        self.waiting.clear();
        self.inner.write_all(&sealed)
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until more comes, since only then it is known not to be the last.
        if self.waiting.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.write_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Flushes the inner writer; a chunk that is not full goes on waiting.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> fmt::Debug for SealedWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedWriter").field("chunks", &self.chunks.next).finish_non_exhaustive()
    }
}

/// Decrypts what a [`SealedWriter`] wrote. Each byte that it gives was written in this place of this file; that the
/// file is whole is known only once it says that there is no more: a file that was cut short ends with an error
/// ([`ErrorKind::InvalidData`]) and never with a plain end.
pub struct SealedReader<R: Read> {
    inner: R,
    chunks: Chunks,
    /// Sealed bytes read ahead: a chunk and, to know whether it is the last, one byte of the next.
    ahead: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
    given: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    More,
    End,
    Refused,
}

impl<R: Read> SealedReader<R> {
    /// Begins to read a file that was written under the same key and `context`.
    pub fn new(mut inner: R, key: &DataKey, context: &[u8]) -> io::Result<Self> {
        let mut header = [0; MAGIC.len() + SALT_BYTES];
        inner.read_exact(&mut header).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => refused(),
            _ => error,
        })?;
        let (magic, salt) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(refused());
        }
        let chunks = Chunks { cipher: key.file_cipher(context, salt), next: 0 };
        let ahead = Vec::with_capacity(SEALED_CHUNK_BYTES + 1);
        Ok(Self { inner, chunks, ahead, plain: Zeroizing::default(), given: 0, state: State::More })
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        let wanted = SEALED_CHUNK_BYTES + 1 - self.ahead.len();
        self.inner.by_ref().take(wanted as u64).read_to_end(&mut self.ahead)?;
        let last = self.ahead.len() <= SEALED_CHUNK_BYTES;
        let chunk = &self.ahead[..self.ahead.len().min(SEALED_CHUNK_BYTES)];
        let empty_tail = chunk.len() == TAG_BYTES && self.chunks.next > 0;
        let nonce = self.chunks.nonce(last);
        let opened = self.chunks.cipher.open_with(&nonce, &[], chunk);
        let Some(plain) = opened.ok().filter(|_| !empty_tail) else {
            self.state = State::Refused;
            return Err(refused());
        };
        self.plain = plain;
        self.given = 0;
        self.ahead.drain(..self.ahead.len().min(SEALED_CHUNK_BYTES));
        if last {
            self.state = State::End;
        }
        Ok(())
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() && !buffer.is_empty() {
            match self.state {
                State::More => self.read_chunk()?,
                State::End => return Ok(0),
                State::Refused => return Err(refused()),
            }
        }
        let rest = &self.plain[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

impl<R: Read> fmt::Debug for SealedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedReader").field("chunks", &self.chunks.next).finish_non_exhaustive()
    }
}

fn refused() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, VaultError::Refused)
}
