//! Makes seals of what was recorded, and publishes them. The key that signs the log is known here and nowhere else.
//!
//! A round has two halves. [`record`](Sealer) takes what is new into the trials' trees and records one seal, under the
//! same lock that appends take; from then on the seal is final, for events name it. Publishing signs the checkpoint that
//! covers it and writes tiles, entries, note and checkpoint; every byte of that follows from the recorded seals, so a
//! round that was cut short anywhere is finished by doing it again. Starting is nothing but publishing what is due.
//!
//! Nothing is signed on the word of a single row: what is read at the start must give the newest seal's root, each
//! trial's tree the root that was sealed, and each seal its own leaf. After a failure all of it is read again.
//!
//! Where the policy asks for witnesses, publishing has a second half: each signed checkpoint is carried to them, and what
//! they agree to is published. That goes on beside the rounds, which wait for nobody. So do timestamps: where an authority is
//! named, it is asked now and then for the time of the newest published note.
//!
//! What it is not: a judge of events (that is `record`), or a place to read proofs (that is `query`). To publish to
//! another kind of place, implement [`Publication`].

mod authority;
mod cosigner;
mod delays;
mod disk;
mod edge;
mod error;
mod folder;
mod forest;
mod notes;
mod publication;
mod publish;
mod round;
mod state;
mod timestamper;
mod witness;

pub use authority::{Authority, AuthorityError, HttpAuthority};
pub use delays::measure_delays;
pub use disk::Disk;
pub use error::SealError;
pub use folder::Folder;
pub use publication::Publication;
pub use round::{Sealer, SealerParts, SealerSettings};
pub use timestamper::Timestamping;
pub use trialseal_timestamp::Authorities;
pub use witness::{Answer, HttpWitness, Witness, WitnessError};
