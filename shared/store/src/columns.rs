//! Between the columns of a database and the rows of the ports, for engines: what is read back is distrusted here.
//!
//! Engines select the columns in the order of the tuple types below. Numbers are signed 64-bit integers, hashes and
//! other bytes are BYTEA or BLOB, ids are text, UUIDs are the engine's own.

use std::collections::HashMap;

use trialseal_record::ids::{ParticipantId, Scope, StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use trialseal_vault::{StoredKey, WrappedKey};
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::rows::{
    AccountRow, CommandRow, Doc, EventRow, InvitationRow, JobRow, Known, LeafRow, LedgerHead, ModelRow,
    PasskeyRow, SealRef, SealRow, SealedHead, SessionRow, StreamVersion, TimestampRow, TokenRow, TreeName,
};

/// `position, time, seal, seal_leaf, sealed` of a ledger.
pub type HeadColumns = (i64, i64, Option<i64>, Option<Vec<u8>>, i64);
/// `position, trial, trialseq, stream, streamseq, leaf, header, key, body` of an event.
pub type EventColumns = (i64, String, i64, String, i64, Vec<u8>, Vec<u8>, Uuid, Vec<u8>);
/// `position, trial, trialseq, leaf` of an event.
pub type LeafColumns = (i64, String, i64, Vec<u8>);
/// `id, digest, trial, first, count` of a command.
pub type CommandColumns = (Vec<u8>, Vec<u8>, String, i64, i64);
/// `trial, stream, version` of a stream.
pub type StreamColumns = (String, String, i64);
/// `number, entry, leaf, sealed, time` of a seal.
pub type SealColumns = (i64, Vec<u8>, Vec<u8>, i64, i64);
/// `trial, seal, size, root` of a sealed head.
pub type SealedHeadColumns = (String, i64, i64, Vec<u8>);
/// `id, scope, master, wrapped` of a data key.
pub type KeyColumns = (Uuid, String, String, Vec<u8>);

/// Id, scope, master key and wrapped form of a data key that may have been destroyed.
pub type StoredKeyColumns = (Option<Uuid>, String, Option<String>, Option<Vec<u8>>);
/// `model, generation, position, active` of a read model.
pub type ModelColumns = (String, i64, i64, bool);
/// `trial, id, key, body` of a document.
pub type DocColumns = (String, String, Uuid, Vec<u8>);
/// `id, kind, trial, actor, ended, detail` of a job.
pub type JobColumns = (Uuid, String, String, String, bool, Vec<u8>);
/// `hash, id, actor, role, organisation, source_system, trials, expires, revoked, known, participant` of a token.
pub type TokenColumns = (
    Vec<u8>,
    Uuid,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<i64>,
    bool,
    i16,
    Option<Uuid>,
);
/// `id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known, issued, withdrawn,
/// epoch, participant` of an account.
pub type AccountColumns = (
    Uuid,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    bool,
    i16,
    i64,
    bool,
    i64,
    Option<Uuid>,
);
/// `hash, account, expires` of an invitation.
pub type InvitationColumns = (Vec<u8>, Uuid, i64);
/// `hash, account, seen, expires, epoch, confirmed` of a session.
pub type SessionColumns = (Vec<u8>, Uuid, i64, i64, i64, i64);
/// `credential, account, x, y, label, added, ended` of a passkey.
pub type PasskeyColumns = (String, Uuid, String, String, String, i64, bool);

/// A number as a column holds it.
///
/// # Errors
/// [`StoreError::Refused`] above 2^63 − 1.
pub fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| StoreError::Refused("a number above 2^63 − 1".into()))
}

/// A number from a column.
///
/// # Errors
/// [`StoreError::Damaged`] where it is negative or above what its row can hold.
pub fn number<T: TryFrom<i64>>(column: i64) -> Result<T> {
    T::try_from(column).map_err(|_| StoreError::Damaged("a number is out of its range".into()))
}

/// A hash from a column.
///
/// # Errors
/// [`StoreError::Damaged`] unless it has 32 bytes.
pub fn hash(column: &[u8]) -> Result<Hash> {
    bytes(column).map(Hash::from_bytes)
}

/// A keyed hash or an id of 32 bytes from a column.
///
/// # Errors
/// [`StoreError::Damaged`] unless it has 32 bytes.
pub fn bytes(column: &[u8]) -> Result<[u8; 32]> {
    column.try_into().map_err(|_| StoreError::Damaged("a hash or an id has not 32 bytes".into()))
}

/// A trial id from a column.
///
/// # Errors
/// [`StoreError::Damaged`] where it is none.
pub fn trial(column: String) -> Result<TrialId> {
    column.try_into().map_err(|error| StoreError::Damaged(format!("column trial: {error}")))
}

/// A stream id from a column.
///
/// # Errors
/// [`StoreError::Damaged`] where it is none.
pub fn stream(column: &str) -> Result<StreamId> {
    column.parse().map_err(|error| StoreError::Damaged(format!("column stream: {error}")))
}

/// A time from a column: microseconds since 1970.
///
/// # Errors
/// [`StoreError::Damaged`] outside of the years that a time can be written in.
pub fn time(column: i64) -> Result<Timestamp> {
    let time = Timestamp::from_micros(column);
    if time.micros() == column {
        Ok(time)
    } else {
        Err(StoreError::Damaged("a time is out of its range".into()))
    }
}

/// The head row.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn head((position, at, seal, leaf, sealed): HeadColumns) -> Result<LedgerHead> {
    let seal = match (seal, leaf) {
        (Some(seal), Some(leaf)) => Some(SealRef { number: number(seal)?, leaf: hash(&leaf)? }),
        (None, None) => None,
        _ => return Err(StoreError::Damaged("the ledger's head names half a seal".into())),
    };
    Ok(LedgerHead { position: number(position)?, time: time(at)?, seal, sealed: number(sealed)? })
}

/// A trial and its size, from `trial, size`.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn trial_size((id, size): (String, i64)) -> Result<(TrialId, u64)> {
    Ok((trial(id)?, number(size)?))
}

/// An event.
///
/// # Errors
/// [`StoreError::DamagedEvent`] or [`StoreError::Damaged`] where a column cannot be.
pub fn event(columns: EventColumns) -> Result<EventRow> {
    let (position, id, trialseq, subject, streamseq, leaf, header, key, body) = columns;
    let (id, trialseq) = (trial(id)?, number(trialseq)?);
    let of_event =
        |what: StoreError| StoreError::DamagedEvent { trial: id.clone(), trialseq, what: what.to_string() };
    Ok(EventRow {
        position: number(position).map_err(of_event)?,
        stream: stream(&subject).map_err(of_event)?,
        streamseq: number(streamseq).map_err(of_event)?,
        leaf: hash(&leaf).map_err(of_event)?,
        trial: id,
        trialseq,
        header,
        key,
        body,
    })
}

/// An event's leaf.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn leaf((position, id, trialseq, leaf): LeafColumns) -> Result<LeafRow> {
    Ok(LeafRow {
        position: number(position)?,
        trial: trial(id)?,
        trialseq: number(trialseq)?,
        leaf: hash(&leaf)?,
    })
}

/// A command.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn command((id, digest, of, first, count): CommandColumns) -> Result<CommandRow> {
    let (id, digest) = (bytes(&id)?, bytes(&digest)?);
    Ok(CommandRow { id, digest, trial: trial(of)?, first: number(first)?, count: number(count)? })
}

/// A stream's version.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn stream_version((of, name, version): StreamColumns) -> Result<StreamVersion> {
    Ok(StreamVersion { trial: trial(of)?, stream: stream(&name)?, version: number(version)? })
}

/// A seal.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn seal((number_, entry, leaf, sealed, at): SealColumns) -> Result<SealRow> {
    Ok(SealRow {
        number: number(number_)?,
        entry,
        leaf: hash(&leaf)?,
        sealed: number(sealed)?,
        time: time(at)?,
    })
}

/// A sealed head.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn sealed_head((of, seal, size, root): SealedHeadColumns) -> Result<SealedHead> {
    Ok(SealedHead { trial: trial(of)?, seal: number(seal)?, size: number(size)?, root: hash(&root)? })
}

/// A note with the size it is of, from `size, note`.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn sized_note((size, note): (i64, Vec<u8>)) -> Result<(u64, Vec<u8>)> {
    Ok((number(size)?, note))
}

/// A timestamp: its size, time and reply.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn timestamp((size, at, reply): (i64, i64, Vec<u8>)) -> Result<TimestampRow> {
    Ok(TimestampRow { size: number(size)?, time: time(at)?, reply })
}

/// A wrapped data key.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn data_key((id, scope, master, wrapped): KeyColumns) -> Result<WrappedKey> {
    let scope: Scope =
        scope.parse().map_err(|error| StoreError::Damaged(format!("column scope: {error}")))?;
    Ok(WrappedKey { id, scope, master, wrapped })
}

/// What a key store has of a data key.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn stored_key((id, scope, master, wrapped): StoredKeyColumns) -> Result<StoredKey> {
    match (id, master, wrapped) {
        (Some(id), Some(master), Some(wrapped)) => {
            data_key((id, scope, master, wrapped)).map(StoredKey::Wrapped)
        }
        (_, None, None) => Ok(StoredKey::Destroyed),
        _ => Err(StoreError::Damaged(format!("the row of the data key of {scope}"))),
    }
}

/// A generation of a read model.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn model((model, generation, position, active): ModelColumns) -> Result<ModelRow> {
    Ok(ModelRow { model, generation: number(generation)?, position: number(position)?, active })
}

/// Whether readers can go over to `generation`, which is one of these of a model: the one that they use has come no
/// further. `None` where it is none of them.
pub fn may_take_over(rows: &[ModelRow], generation: u32) -> Option<bool> {
    let one = rows.iter().find(|row| row.generation == generation)?;
    Some(rows.iter().all(|row| !row.active || row.position <= one.position))
}

/// A document.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn doc((of, id, key, body): DocColumns) -> Result<Doc> {
    Ok(Doc { trial: trial(of)?, id, key, body })
}

/// A job.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn job((id, kind, of, actor, ended, detail): JobColumns) -> Result<JobRow> {
    Ok(JobRow { id, kind, trial: trial(of)?, actor, ended, detail })
}

/// A token.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn token(columns: TokenColumns) -> Result<TokenRow> {
    let (hash, id, actor, role, organisation, source_system, trials, expires, revoked, known, participant) =
        columns;
    let (hash, trials, known) = (bytes(&hash)?, listed(trials)?, known_of(known)?);
    let participant = participant.map(ParticipantId);
    Ok(TokenRow {
        hash,
        id,
        actor,
        role,
        organisation,
        source_system,
        trials,
        participant,
        expires,
        revoked,
        known,
    })
}

/// An account.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn account(columns: AccountColumns) -> Result<AccountRow> {
    let (id, login, issuer, subject, actor, role, organisation, trials, password, disabled, known, ..) =
        columns;
    let (.., issued, withdrawn, epoch, participant) = columns;
    let (subject, trials, known) = (issuer.zip(subject), listed(trials)?, known_of(known)?);
    Ok(AccountRow {
        id,
        login,
        subject,
        actor,
        role,
        organisation,
        trials,
        participant: participant.map(ParticipantId),
        password,
        disabled,
        known,
        issued,
        withdrawn,
        epoch,
    })
}

/// An invitation.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn invitation((hash, account, expires): InvitationColumns) -> Result<InvitationRow> {
    Ok(InvitationRow { hash: bytes(&hash)?, account, expires })
}

/// A session.
///
/// # Errors
/// [`StoreError::Damaged`] where a column cannot be.
pub fn session(columns: SessionColumns) -> Result<SessionRow> {
    let (hash, account, seen, expires, epoch, confirmed) = columns;
    Ok(SessionRow { hash: bytes(&hash)?, account, seen, expires, epoch, confirmed })
}

/// A passkey.
pub fn passkey((credential, account, x, y, label, added, ended): PasskeyColumns) -> PasskeyRow {
    PasskeyRow { credential, account, x, y, label, added, ended }
}

fn listed(trials: Option<String>) -> Result<Option<Vec<TrialId>>> {
    trials.map(|list| list.split_whitespace().map(|id| trial(id.to_owned())).collect()).transpose()
}

fn known_of(number: i16) -> Result<Known> {
    Known::of(number).ok_or_else(|| StoreError::Damaged(format!("a grant is known to the degree {number}")))
}

/// A token's trials as its column holds them: ids parted by spaces, which no id contains.
pub fn trials_column(trials: Option<&[TrialId]>) -> Option<String> {
    trials.map(|trials| trials.iter().map(TrialId::as_str).collect::<Vec<_>>().join(" "))
}

/// Hands `rows` on if their places count on from `from` without a gap: a missing row is damage, not an end.
///
/// # Errors
/// [`StoreError::Damaged`] naming the place whose row is missing from `what`.
pub fn gap_free<T>(what: &str, from: u64, rows: Vec<T>, place: impl Fn(&T) -> u64) -> Result<Vec<T>> {
    match (from..).zip(&rows).find(|(expected, row)| *expected != place(row)) {
        Some((expected, _)) => {
            Err(StoreError::Damaged(format!("{what}: the row of place {expected} is missing")))
        }
        None => Ok(rows),
    }
}

/// The hashes of a tree's nodes at a level from index `from` on, from `place, hash`.
///
/// # Errors
/// [`StoreError::Damaged`] where a node is missing, or a column cannot be.
pub fn nodes(tree: &TreeName, level: u8, from: u64, rows: Vec<(i64, Vec<u8>)>) -> Result<Vec<Hash>> {
    let rows: Result<Vec<(u64, Hash)>> =
        rows.into_iter().map(|(place, node)| Ok((number(place)?, hash(&node)?))).collect();
    let what = match tree {
        TreeName::Log => format!("nodes of level {level} of the public log"),
        TreeName::Trial(trial) => format!("nodes of level {level} of trial {trial}"),
    };
    Ok(gap_free(&what, from, rows?, |(place, _)| *place)?.into_iter().map(|(_, hash)| hash).collect())
}

/// Hashes that were joined into one column.
///
/// # Errors
/// [`StoreError::Damaged`] unless each has 32 bytes.
pub fn hashes(column: &[u8]) -> Result<Vec<Hash>> {
    column.chunks(32).map(hash).collect()
}

/// Puts documents into the order in which they were asked for; `None` stands where one was not found.
pub fn in_order(ids: &[(TrialId, String)], found: &[Doc]) -> Vec<Option<Doc>> {
    let by_id: HashMap<_, _> = found.iter().map(|doc| ((&doc.trial, &doc.id), doc)).collect();
    ids.iter().map(|(trial, id)| by_id.get(&(trial, id)).map(|doc| (*doc).clone())).collect()
}

/// The least text that is greater, byte by byte, than every text that starts with `prefix`; `None` where there is none.
///
/// The order of UTF-8 bytes is that of code points, so the successor of the last character that has one will do.
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut kept = prefix.chars();
    while let Some(last) = kept.next_back() {
        // A range of characters steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            return Some(kept.as_str().chars().chain([next]).collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_follows_all_that_start_with_it() {
        assert_eq!(prefix_end("a"), Some("b".into()));
        assert_eq!(prefix_end("a/"), Some("a0".into()));
        assert_eq!(prefix_end("a\u{d7ff}"), Some("a\u{e000}".into()));
        assert_eq!(prefix_end("a\u{10ffff}"), Some("b".into()));
        assert_eq!(prefix_end("\u{10ffff}"), None);
        assert_eq!(prefix_end(""), None);
        assert!("a/\u{10ffff}\u{10ffff}" < prefix_end("a/").unwrap().as_str());
    }

    #[test]
    fn a_missing_row_is_damage() {
        assert_eq!(gap_free("trial T", 3, vec![3, 4, 5], |n| *n).unwrap(), [3, 4, 5]);
        assert_eq!(gap_free("trial T", 9, Vec::<u64>::new(), |n| *n).unwrap(), Vec::<u64>::new());
        let missing = gap_free("trial T", 3, vec![3, 5], |n| *n).unwrap_err();
        assert_eq!(missing.to_string(), "damaged in the database: trial T: the row of place 4 is missing");
        assert!(gap_free("trial T", 3, vec![4, 5], |n| *n).is_err());
    }

    #[test]
    fn columns_that_cannot_be_are_damage() {
        assert!(matches!(head((0, 0, Some(1), None, 0)), Err(StoreError::Damaged(_))));
        assert!(matches!(head((-1, 0, None, None, 0)), Err(StoreError::Damaged(_))));
        assert!(matches!(head((0, i64::MAX, None, None, 0)), Err(StoreError::Damaged(_))));
        assert!(matches!(hash(&[0; 31]), Err(StoreError::Damaged(_))));
        assert!(matches!(signed(1 << 63), Err(StoreError::Refused(_))));
        let row = (0, "T".into(), 7, "no stream".into(), 0, vec![0; 32], vec![], Uuid::nil(), vec![]);
        assert!(matches!(event(row), Err(StoreError::DamagedEvent { trialseq: 7, .. })));
    }
}
