use std::io::{self, ErrorKind, Read, Write};

use super::{key, participant, vault};
use crate::DataKey;
use crate::file::{SealedReader, SealedWriter, plain_bytes};

const CHUNK: usize = 64 << 10;
const SEALED_CHUNK: usize = CHUNK + 16;
const HEADER: usize = 52;

fn data(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

fn seal(key: &DataKey, plain: &[u8]) -> Vec<u8> {
    let mut writer = SealedWriter::new(Vec::new(), key, b"file-1").unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn open(key: &DataKey, context: &[u8], sealed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    SealedReader::new(sealed, key, context)?.read_to_end(&mut plain)?;
    Ok(plain)
}

#[track_caller]
fn refused(key: &DataKey, sealed: &[u8]) {
    assert_eq!(open(key, b"file-1", sealed).unwrap_err().kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn files_of_all_sizes_open_again_and_their_size_is_known_before() {
    let key = key().await;
    for bytes in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17] {
        let plain = data(bytes);
        let sealed = seal(&key, &plain);
        assert_eq!(open(&key, b"file-1", &sealed).unwrap(), plain, "{bytes}");
        assert_eq!(plain_bytes(sealed.len() as u64), Some(bytes as u64));
    }
    for nobody in [0, 51, 52, 67, (HEADER + SEALED_CHUNK + 1) as u64, (HEADER + SEALED_CHUNK + 16) as u64] {
        assert_eq!(plain_bytes(nobody), None, "{nobody}");
    }
}

#[tokio::test]
async fn how_it_is_written_and_read_makes_no_difference() {
    /// Gives one byte at a time, and is interrupted before each.
    struct Drip<'a>(&'a [u8], bool);
    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            self.0.read(&mut buffer[..1])
        }
    }
    let key = key().await;
    let plain = data(CHUNK + 100);
    let mut writer = SealedWriter::new(Vec::new(), &key, b"file-1").unwrap();
    for piece in plain.chunks(777) {
        writer.write_all(piece).unwrap();
        writer.flush().unwrap();
    }
    let sealed = writer.finish().unwrap();
    let mut read = Vec::new();
    SealedReader::new(Drip(&sealed, false), &key, b"file-1").unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, plain);
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_refused() {
    let key = key().await;
    let sealed = seal(&key, &data(300));
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 0x40;
        refused(&key, &changed);
    }
    let sealed = seal(&key, &data(2 * CHUNK + 9));
    for at in (0..sealed.len()).step_by(4099) {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        refused(&key, &changed);
    }
}

#[tokio::test]
async fn a_file_cut_short_or_lengthened_anywhere_is_refused() {
    let key = key().await;
    let small = seal(&key, &data(40));
    for length in 0..small.len() {
        refused(&key, &small[..length]);
    }
    let sealed = seal(&key, &data(2 * CHUNK + 9));
    for length in
        [HEADER, HEADER + SEALED_CHUNK, HEADER + 2 * SEALED_CHUNK, sealed.len() - 9, sealed.len() - 1]
    {
        refused(&key, &sealed[..length]);
    }
    refused(&key, &[&sealed[..], &[0]].concat());
    refused(&key, &[&sealed[..], &sealed[HEADER..]].concat());
}

#[tokio::test]
async fn a_file_that_was_not_finished_is_refused() {
    let key = key().await;
    for bytes in [0, 10, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let mut inner = Vec::new();
        SealedWriter::new(&mut inner, &key, b"file-1").unwrap().write_all(&data(bytes)).unwrap();
        refused(&key, &inner);
    }
}

#[tokio::test]
async fn chunks_cannot_be_swapped_repeated_left_out_or_taken_from_another_file() {
    let key = key().await;
    let sealed = seal(&key, &data(4 * CHUNK));
    let other = seal(&key, &data(4 * CHUNK));
    let (header, body) = sealed.split_at(HEADER);
    let chunks: Vec<_> = body.chunks(SEALED_CHUNK).collect();
    let foreign: Vec<_> = other[HEADER..].chunks(SEALED_CHUNK).collect();
    let joined = |order: &[&[u8]]| [header, &order.concat()].concat();
    assert!(open(&key, b"file-1", &joined(&chunks)).is_ok());
    refused(&key, &joined(&[chunks[1], chunks[0], chunks[2], chunks[3]]));
    refused(&key, &joined(&[chunks[0], chunks[0], chunks[1], chunks[2], chunks[3]]));
    refused(&key, &joined(&[chunks[0], chunks[2], chunks[3]]));
    refused(&key, &joined(&[chunks[0], chunks[1], chunks[3], chunks[2]]));
    refused(&key, &joined(&[chunks[0], foreign[1], chunks[2], chunks[3]]));
}

#[tokio::test]
async fn another_context_or_key_is_refused() {
    let (_, vault) = vault().await;
    let one = vault.key_of(&participant(1)).await.unwrap();
    let two = vault.key_of(&participant(2)).await.unwrap();
    let sealed = seal(&one, &data(10));
    assert!(open(&one, b"file-1", &sealed).is_ok());
    assert!(open(&one, b"file-2", &sealed).is_err());
    refused(&two, &sealed);
}

#[tokio::test]
async fn once_refused_it_stays_refused() {
    let key = key().await;
    let mut sealed = seal(&key, &data(2 * CHUNK));
    sealed[HEADER + SEALED_CHUNK + 5] ^= 1;
    let mut reader = SealedReader::new(&sealed[..], &key, b"file-1").unwrap();
    let mut buffer = vec![0; CHUNK];
    reader.read_exact(&mut buffer).unwrap();
    assert_eq!(buffer, data(CHUNK), "what came before is sound");
    for _ in 0..3 {
        assert_eq!(reader.read(&mut buffer).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn nothing_of_the_text_is_to_be_seen() {
    let key = key().await;
    let sealed = seal(&key, &b"Jane Doe, 70.5 kg\n".repeat(5000));
    assert!(!sealed.windows(8).any(|window| window == b"Jane Doe"));
}
