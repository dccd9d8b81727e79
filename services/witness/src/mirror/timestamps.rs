//! The timestamps of a log's notes. They are kept as they come: whom to believe about times is for the reader to say, and a
//! copy that lacked one would keep it from them.

use anyhow::{Context as _, Result};
use trialseal_seal::tiles::{LISTED_SIZES, decode_sizes, encode_sizes, timestamp_path, timestamp_sizes_path};

use super::source::Source;
use super::store::Store;

/// The longest list: a timestamp of every size, each with up to 19 digits.
const MAX_LIST_BYTES: usize = 20 << 16;
/// The largest timestamp that a verifier reads.
const MAX_REPLY_BYTES: usize = 64 << 10;

/// Copies what is new, of sizes up to `size`. A list is written after what it lists, and only the newest one still grows:
/// from the newest that is here, everything before is complete.
pub(super) fn copy(source: &dyn Source, store: &Store, size: u64) -> Result<()> {
    let last = size / LISTED_SIZES;
    let mut first = last;
    while first > 0 && store.read(&timestamp_sizes_path(first * LISTED_SIZES))?.is_none() {
        first -= 1;
    }
    for index in first..=last {
        let path = timestamp_sizes_path(index * LISTED_SIZES);
        let Some(list) = source.get(&path, MAX_LIST_BYTES)? else { continue };
        let mut sizes = decode_sizes(index, &list).with_context(|| format!("{path} is refused"))?;
        sizes.retain(|listed| *listed <= size);
        for listed in &sizes {
            let path = timestamp_path(*listed);
            if store.read(&path)?.is_none() {
                let reply = source.get(&path, MAX_REPLY_BYTES)?;
                store.put(&path, &reply.with_context(|| format!("{path} is listed, and not there"))?)?;
            }
        }
        store.put(&path, encode_sizes(&sizes).as_bytes())?;
    }
    Ok(())
}
