//! Publishing: from recorded seals to tiles, entries, notes and the checkpoint.

use std::sync::Arc;

use tokio::sync::watch;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2};
use trialseal_seal::note::{SignedNote, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{encode_bundle, entries_path, tile_path};
use trialseal_seal::tree::Frontier;
use trialseal_store::{SealRow, Store, TreeName, proofs};

use crate::cosigner::Signed;
use crate::edge::{TILE, frontier_of, log_edge};
use crate::error::SealError;
use crate::notes::Notes;
use crate::publication::Publication;
use crate::round::SealerParts;

pub(crate) struct Publisher {
    store: Arc<dyn Store>,
    place: Arc<dyn Publication>,
    signers: Vec<Signer>,
    /// What a signed checkpoint has to meet before any witness has seen it.
    log: Policy,
    outlet: Outlet,
    /// The log's tree as published.
    tree: Frontier<Sha2>,
    /// Hashes of the newest tile of each level.
    edge: Vec<Vec<Hash>>,
    /// Entries of the newest bundle.
    entries: Vec<Vec<u8>>,
}

/// Where a signed checkpoint goes.
#[derive(Clone)]
pub(crate) enum Outlet {
    /// Out: its log's own signature meets the policy.
    Notes(Box<Notes>),
    /// To those who have it cosigned.
    Cosigner(watch::Sender<Option<Signed>>),
}

/// What is signed or public already.
pub(crate) struct Public {
    /// The published checkpoint.
    checkpoint: Option<Checkpoint>,
    /// The size of the newest signed checkpoint.
    signed: u64,
}

impl Public {
    /// Reads it. The record must be read afterwards: another process may be sealing, and as nothing is signed before it
    /// is recorded, what is read in this order is behind the record and never seems to be ahead of it.
    pub(crate) async fn read(parts: &SealerParts) -> Result<Self, SealError> {
        let checkpoint = Notes::new(parts).published().await?;
        let signed = parts.store.newest_checkpoint().await?.map_or(0, |(size, _)| size);
        Ok(Self { checkpoint, signed })
    }

    fn published(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size)
    }
}

impl Publisher {
    /// Picks up where publication stands, after making sure that what is public is what the database holds, with its
    /// `recorded` seals.
    ///
    /// # Errors
    /// [`SealError::Behind`] and [`SealError::Fork`] where the two contradict each other.
    pub(crate) async fn open(
        parts: &SealerParts,
        outlet: Outlet,
        public: &Public,
        recorded: u64,
    ) -> Result<Self, SealError> {
        let store = Arc::clone(&parts.store);
        let size = public.published();
        let known = size.max(public.signed);
        if known > recorded {
            return Err(SealError::Behind { published: known, recorded });
        }
        let edge = log_edge(store.as_ref(), size).await?;
        let tree = frontier_of::<Sha2>(&TreeName::Log, size, &edge)?;
        if public.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.root != tree.root()) {
            return Err(SealError::Fork(format!(
                "the published checkpoint of size {size} is of another tree"
            )));
        }
        let first = size - size % TILE;
        let rows = store.seals(first, u32::try_from(size - first).unwrap_or(0)).await?;
        for (row, number) in rows.iter().zip(first..) {
            checked_seal(row, number, store.origin())?;
        }
        let entries = rows.into_iter().map(|row| row.entry).collect();
        let (place, signers) = (Arc::clone(&parts.place), parts.signers.clone());
        let log = parts.policy.without_witnesses();
        Ok(Self { store, place, signers, log, outlet, tree, edge, entries })
    }

    /// How many seals are signed, with their tiles and entries written.
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The root of the log as signed.
    pub(crate) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Signs and writes the next seal, and publishes its checkpoint or has it cosigned. Whatever a crash leaves undone
    /// here is done by the same call after a restart, with the same text; what was done twice is the same twice. Where the
    /// log's keys are others by then, the note bears their signatures.
    pub(crate) async fn publish(&mut self, seal: &SealRow) -> Result<(), SealError> {
        checked_seal(seal, self.size(), self.store.origin())?;
        let mut tree = self.tree.clone();
        tree.push(seal.leaf);
        let (size, root) = (tree.size(), tree.root());
        let checkpoint = Checkpoint { origin: self.store.origin().to_owned(), size, root };
        let note = checkpoint.sign_with(&self.signers)?;
        let bytes = note.encode().into_bytes();
        // Compare-and-swap before anything is seen outside: of each size one checkpoint is ever signed. A crash after
        // it leaves a signed checkpoint that nobody has seen; the restart publishes exactly that one.
        let stored = self.store.put_checkpoint(size, &bytes).await?;
        if stored != bytes && !self.is_signed(&stored, &note) {
            return Err(SealError::Fork(format!("another checkpoint of size {size} was signed before")));
        }
        // A crash between these writes leaves tiles and entries that no checkpoint speaks of yet.
        self.write_tiles(seal, size).await?;
        match &self.outlet {
            Outlet::Notes(notes) => notes.publish(&checkpoint, &bytes).await?,
            // Nobody listens any more where the sealer is about to end.
            Outlet::Cosigner(signed) => {
                drop(signed.send(Some(Signed { checkpoint, note, position: seal.sealed, time: seal.time })));
            }
        }
        self.tree = tree;
        self.close_full_tiles(size).await
    }

    /// Whether what was stored before is this very checkpoint, signed with another set of the log's keys.
    fn is_signed(&self, stored: &[u8], note: &SignedNote) -> bool {
        let stored = std::str::from_utf8(stored).ok().filter(|stored| self.log.check(stored).is_ok());
        let stored = stored.and_then(|stored| SignedNote::parse(stored).ok());
        stored.is_some_and(|stored| stored.text == note.text)
    }

    /// Writes the entries and the tiles that end at `size`.
    async fn write_tiles(&mut self, seal: &SealRow, size: u64) -> Result<(), SealError> {
        let place = usize::try_from((size - 1) % TILE).unwrap_or_default();
        self.entries.truncate(place);
        self.entries.push(seal.entry.clone());
        let (index, width) = tile_of(size);
        self.place.put(&entries_path(index, width), encode_bundle(&self.entries)?).await?;

        let mut hash = seal.leaf;
        let mut count = size;
        for level in 0u8.. {
            let place = usize::try_from((count - 1) % TILE).unwrap_or_default();
            if self.edge.len() <= usize::from(level) {
                self.edge.push(Vec::new());
            }
            let Some(hashes) = self.edge.get_mut(usize::from(level)) else { break };
            hashes.truncate(place);
            hashes.push(hash);
            let (index, width) = tile_of(count);
            let bytes = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            let full = trialseal_seal::tree::node_from_tile::<Sha2>(hashes);
            self.place.put(&tile_path(level, index, width), bytes).await?;
            if !count.is_multiple_of(TILE) {
                break;
            }
            hash = full;
            count /= TILE;
        }
        Ok(())
    }

    /// Forgets the tiles that are full now, in memory and as partial files, which the full ones replace.
    async fn close_full_tiles(&mut self, size: u64) -> Result<(), SealError> {
        let mut count = size;
        for level in 0u8.. {
            if count == 0 || !count.is_multiple_of(TILE) {
                break;
            }
            if level == 0 {
                self.entries.clear();
                self.place.remove_folder(&format!("{}.p", entries_path(count / TILE - 1, None))).await?;
            }
            self.edge.get_mut(usize::from(level)).map(Vec::clear);
            self.place.remove_folder(&format!("{}.p", tile_path(level, count / TILE - 1, None))).await?;
            count /= TILE;
        }
        Ok(())
    }
}

/// The index of the tile that the `count`-th hash stands in, and its width if it is not full yet.
fn tile_of(count: u64) -> (u64, Option<u8>) {
    let width = u8::try_from(count % TILE).ok().filter(|width| *width > 0);
    ((count - 1) / TILE, width)
}

/// Reads seal `number` of this ledger from its row, of which every column must say the same.
pub(crate) fn checked_seal(row: &SealRow, number: u64, origin: &str) -> Result<Seal, SealError> {
    let seal = proofs::read_seal(row)?;
    let same =
        row.number == number && seal.ledger == origin && (seal.events, seal.time) == (row.sealed, row.time);
    if same { Ok(seal) } else { Err(SealError::Damaged(format!("seal {number} is not what its row says"))) }
}
