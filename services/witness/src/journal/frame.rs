//! The frames of a journal: the notes that were made durable together.
//!
//! A frame is a line `<bytes of the rest> <their SHA-256> <first 8 hex digits of the SHA-256 of what stands before>`, and
//! the rest: each note with its length on a line of its own before it. All of it is text without a NUL.

use std::fmt::Write as _;

use trialseal_seal::hash::{Hash, sha256};

/// More bytes than any header has.
const LONGEST_HEADER: usize = 100;

/// The frame of these notes.
pub(super) fn encode<'a>(notes: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut rest = String::new();
    for note in notes {
        // Writing into a text cannot fail.
        let _ = write!(rest, "{}\n{note}", note.len());
    }
    let header = Header { bytes: rest.len(), hash: sha256(rest.as_bytes()) };
    [header.line().as_bytes(), rest.as_bytes()].concat()
}

/// A frame's notes, and its bytes; `None` where `bytes` does not begin with a whole one.
pub(super) fn decode(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let (header, before) = Header::read(bytes)?;
    let end = before.checked_add(header.bytes)?;
    let rest = bytes.get(before..end)?;
    if sha256(rest) != header.hash {
        return None;
    }
    let mut rest = std::str::from_utf8(rest).ok()?;
    let mut notes = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_once('\n')?;
        let (note, after) = after.split_at_checked(length.parse().ok()?)?;
        notes.push(note.to_owned());
        rest = after;
    }
    Some((notes, end))
}

/// Whether `bytes`, which do not begin with a whole frame, are the trace of one that was being written when the machine or
/// the process stopped, and so were told to nobody: it is the last, and it is cut short, or has a hole where a part of it
/// had not come to the disk, which reads as zeros. What is whole and yet wrong was damaged later.
pub(super) fn is_torn(bytes: &[u8]) -> bool {
    let has_hole = bytes.contains(&0);
    if let Some((header, before)) = Header::read(bytes) {
        let end = before.saturating_add(header.bytes);
        return bytes.len() < end || bytes.len() == end && has_hole;
    }
    let is_cut = bytes.len() < LONGEST_HEADER && !bytes.contains(&b'\n');
    // A header that checks is no accident: frames were written after this one, and this one was durable before.
    let mut later = bytes.split_inclusive(|byte| matches!(byte, b'\n' | 0)).skip(1);
    (is_cut || has_hole) && !later.any(|line| Header::read(line).is_some())
}

struct Header {
    bytes: usize,
    hash: Hash,
}

impl Header {
    fn line(&self) -> String {
        let said = format!("{} {}", self.bytes, self.hash);
        let check = sha256(said.as_bytes()).to_string();
        format!("{said} {}\n", &check[..8])
    }

    /// The header that `bytes` begins with, and its bytes.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.iter().take(LONGEST_HEADER).position(|byte| *byte == b'\n')? + 1;
        let line = std::str::from_utf8(&bytes[..end]).ok()?;
        let (length, rest) = line.split_once(' ')?;
        let (hash, _) = rest.split_once(' ')?;
        let header = Self { bytes: length.parse().ok()?, hash: hash.parse().ok()? };
        (header.line() == line).then_some((header, end))
    }
}
