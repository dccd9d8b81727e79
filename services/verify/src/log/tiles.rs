//! The tiles of a log against the hashes that its entries give.

use trialseal_seal::hash::Hash;
use trialseal_seal::tiles::{TILE_WIDTH, encode_bundle, entries_path, tile_path};
use trialseal_seal::tree::NodeId;

use super::{Check, TILE};

impl Check<'_> {
    /// Takes a node that tiles hold, and checks the tile that it completes.
    pub(super) fn node(&mut self, node: NodeId, hash: Hash) {
        let level = usize::from(node.level / 8);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        self.levels[level].push(hash);
        if self.levels[level].len() == TILE_WIDTH {
            self.hashes(node.level / 8, node.index / TILE);
            self.levels[level].clear();
        }
    }

    /// Checks the tiles at the right edge, one a level.
    pub(super) fn last_tiles(&mut self) {
        for level in (0_u8..).take(self.levels.len()) {
            if !self.levels[usize::from(level)].is_empty() {
                self.hashes(level, (self.size >> (8 * u32::from(level))) / TILE);
            }
        }
    }

    /// Compares a tile, and the partial ones beside it, with the hashes that were computed.
    fn hashes(&mut self, level: u8, index: u64) {
        let hashes: Vec<u8> =
            self.levels[usize::from(level)].iter().flat_map(|hash| *hash.as_bytes()).collect();
        let width = u16::try_from(hashes.len() / 32).unwrap_or_default();
        if let Some((path, bytes)) = self.tile(width, |width| tile_path(level, index, width)) {
            // A full tile may stand for a partial one.
            let full = !path.contains(".p/") && bytes.len() == TILE_WIDTH * 32;
            if !(bytes == hashes || full && bytes.starts_with(&hashes)) {
                self.report.broken(path, "tile-differs", "its hashes are not those of the log's entries");
                if level == 0 {
                    self.entries_that_differ(index, &hashes, &bytes);
                }
            }
        }
        self.partials(&tile_path(level, index, None), width, |width| {
            Some((tile_path(level, index, Some(width)), hashes.get(..usize::from(width) * 32)?.to_vec()))
        });
    }

    /// Names the entries that a tile disagrees with: which of the two was changed, the other files tell.
    fn entries_that_differ(&mut self, index: u64, hashes: &[u8], tile: &[u8]) {
        let bundle = entries_path(index, u8::try_from(hashes.len() / 32).ok());
        for (seal, (entry, told)) in (index * TILE..).zip(hashes.chunks(32).zip(tile.chunks(32))) {
            if entry != told {
                let message = "its entry does not hash to what the tile says";
                self.report.broken(format!("{bundle} (seal {seal})"), "entry-differs", message);
            }
        }
    }

    pub(super) fn partial_bundles(&mut self, bundle: u64, entries: &[&[u8]]) {
        let width = u16::try_from(entries.len()).unwrap_or_default();
        self.partials(&entries_path(bundle, None), width, |width| {
            let expected = encode_bundle(entries.get(..usize::from(width))?).ok()?;
            Some((entries_path(bundle, Some(width)), expected))
        });
    }

    /// Compares all partial tiles below `width` that a log still keeps.
    fn partials(&mut self, path: &str, width: u16, expected: impl Fn(u8) -> Option<(String, Vec<u8>)>) {
        let widths = match self.source.partials(path) {
            Ok(widths) => widths,
            Err(error) => return self.unreadable(path, "the list of its partial tiles", &error),
        };
        for partial in widths.into_iter().filter(|partial| u16::from(*partial) < width) {
            let Some((path, expected)) = expected(partial) else { continue };
            if self.required(&path).is_some_and(|bytes| bytes != expected) {
                self.report.broken(path, "tile-differs", "it is not the beginning of the fuller tile");
            }
        }
    }

    /// Reads a tile or bundle of `width`: the partial one where it is not full, or the full one that replaced it.
    pub(super) fn tile(
        &mut self,
        width: u16,
        path: impl Fn(Option<u8>) -> String,
    ) -> Option<(String, Vec<u8>)> {
        let full = path(None);
        if let Ok(partial) = u8::try_from(width) {
            let partial = path(Some(partial));
            if let Some(bytes) = self.optional(&partial)? {
                return Some((partial, bytes));
            }
            if let Some(bytes) = self.optional(&full)? {
                return Some((full, bytes));
            }
            self.report.missing(partial, "file-missing", "it is not there");
            return None;
        }
        self.required(&full).map(|bytes| (full, bytes))
    }

    /// How many hashes the tile has at the checkpoint's size.
    pub(super) fn width(&self, level: u8, index: u64) -> u16 {
        let nodes = self.size >> (8 * u32::from(level));
        u16::try_from(nodes.saturating_sub(index * TILE).min(TILE)).unwrap_or_default()
    }
}
