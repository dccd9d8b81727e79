//! Where the public log keeps its hashes, entries, notes and timestamps (C2SP tlog-tiles, and section 6 of the format for
//! notes).

use std::fmt;
use std::str::FromStr;

use crate::encoding::decimal;
use crate::refused::{At, Code, Refused, Result, ensure};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: usize = 256;
/// The highest level of a tile.
pub const MAX_TILE_LEVEL: u8 = 63;

/// A resource below the log's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogPath {
    /// `tile/<L>/<N>[.p/<W>]`: hashes.
    Tile {
        /// 0 for leaf hashes.
        level: u8,
        /// 0-based place among the tiles of the level.
        index: u64,
        /// The number of hashes of a partial tile, at least 1; none for a full one.
        width: Option<u8>,
    },
    /// `tile/entries/<N>[.p/<W>]`: entries.
    Entries {
        /// 0-based place of the bundle.
        index: u64,
        /// The number of entries of a partial bundle, at least 1; none for a full one.
        width: Option<u8>,
    },
    /// `notes/<N>`: the first checkpoint note of that tree size that met the publication policy.
    Note {
        /// The tree size.
        size: u64,
    },
    /// `timestamps/<N>.tsr`: an RFC 3161 timestamp of the note of that tree size.
    Timestamp {
        /// The tree size.
        size: u64,
    },
    /// `timestamps/sizes/<N>`: of which of the [`LISTED_SIZES`] tree sizes from N times as many on there is a timestamp.
    TimestampSizes {
        /// 0-based place of the list.
        index: u64,
    },
}

/// Tree sizes that one list of timestamps is about.
pub const LISTED_SIZES: u64 = 1 << 16;

/// The path of a tile of hashes.
pub fn tile_path(level: u8, index: u64, width: Option<u8>) -> String {
    LogPath::Tile { level, index, width }.to_string()
}

/// The path of a bundle of entries.
pub fn entries_path(index: u64, width: Option<u8>) -> String {
    LogPath::Entries { index, width }.to_string()
}

/// The path of the note of a tree size.
pub fn note_path(size: u64) -> String {
    LogPath::Note { size }.to_string()
}

/// The path of the timestamp of the note of a tree size.
pub fn timestamp_path(size: u64) -> String {
    LogPath::Timestamp { size }.to_string()
}

/// The path of the list in which a tree size would stand.
pub fn timestamp_sizes_path(size: u64) -> String {
    LogPath::TimestampSizes { index: size / LISTED_SIZES }.to_string()
}

/// Writes a list of tree sizes that have a timestamp: one a line, in decimal.
pub fn encode_sizes(sizes: &[u64]) -> String {
    sizes.iter().fold(String::new(), |text, size| text + &size.to_string() + "\n")
}

/// Reads the list at `index`: sizes that belong there, each larger than the one before.
pub fn decode_sizes(index: u64, text: &[u8]) -> Result<Vec<u64>> {
    let refused = || Refused::new(Code::SizesMalformed);
    let text = std::str::from_utf8(text).map_err(|_| refused())?;
    let mut sizes = Vec::new();
    for line in text.split_inclusive('\n') {
        let size = line.strip_suffix('\n').and_then(decimal).ok_or_else(refused)?;
        let follows = sizes.last().is_none_or(|last| *last < size);
        ensure(follows && size / LISTED_SIZES == index, Code::SizesMalformed)?;
        sizes.push(size);
    }
    Ok(sizes)
}

impl fmt::Display for LogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Tile { level, index, width } => write!(f, "tile/{level}/{}", Numbered(index, width)),
            Self::Entries { index, width } => write!(f, "tile/entries/{}", Numbered(index, width)),
            Self::Note { size } => write!(f, "notes/{}", Numbered(size, None)),
            Self::Timestamp { size } => write!(f, "timestamps/{}.tsr", Numbered(size, None)),
            Self::TimestampSizes { index } => write!(f, "timestamps/sizes/{}", Numbered(index, None)),
        }
    }
}

/// `<N>[.p/<W>]`: the number cut into parts of three digits, where an `x` says that another part follows.
struct Numbered(u64, Option<u8>);

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> =
            std::iter::successors(Some(self.0), |rest| Some(rest / 1000).filter(|rest| *rest > 0)).collect();
        for (place, group) in groups.iter().enumerate().rev() {
            let group = group % 1000;
            if place == 0 { write!(f, "{group:03}")? } else { write!(f, "x{group:03}/")? }
        }
        self.1.map_or(Ok(()), |width| write!(f, ".p/{width}"))
    }
}

impl FromStr for LogPath {
    type Err = Refused;

    /// Reads a path without a leading slash, in its one spelling.
    fn from_str(text: &str) -> Result<Self> {
        let path = read_path(text).filter(|path| path.to_string() == text);
        path.ok_or_else(|| Refused::new(Code::TilePath))
    }
}

/// Reads a path leniently; that it is spelled right is checked by writing it again.
fn read_path(text: &str) -> Option<LogPath> {
    if let Some(number) = text.strip_prefix("notes/") {
        return Some(LogPath::Note { size: read_number(number)? });
    }
    if let Some(number) = text.strip_prefix("timestamps/sizes/") {
        return Some(LogPath::TimestampSizes { index: read_number(number)? });
    }
    if let Some(number) = text.strip_prefix("timestamps/") {
        return Some(LogPath::Timestamp { size: read_number(number.strip_suffix(".tsr")?)? });
    }
    let (level, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, Some(width.parse().ok().filter(|width| *width > 0)?)),
        None => (rest, None),
    };
    let index = read_number(number)?;
    match level {
        "entries" => Some(LogPath::Entries { index, width }),
        level => {
            let level = level.parse().ok().filter(|level| *level <= MAX_TILE_LEVEL)?;
            Some(LogPath::Tile { level, index, width })
        }
    }
}

fn read_number(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = digits.trim_start_matches('0');
    decimal(if number.is_empty() { "0" } else { number })
}

/// Writes a bundle: each entry with its length in two bytes before it. A longer entry is [`Code::EntryTooLarge`].
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>> {
    let mut bundle = Vec::new();
    for (place, entry) in entries.iter().map(AsRef::as_ref).enumerate() {
        let length = u16::try_from(entry.len()).map_err(|_| Refused::new(Code::EntryTooLarge).at(place))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// Reads a bundle of at most [`TILE_WIDTH`] entries.
pub fn decode_bundle(bundle: &[u8]) -> Result<Vec<&[u8]>> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        ensure(entries.len() < TILE_WIDTH, Code::BundleMalformed)?;
        let entry = rest
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let (entry, after) = entry.ok_or_else(|| Refused::new(Code::BundleMalformed)).at(entries.len())?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}
