//! The rows that pass through the ports. An engine maps them to columns and back and adds nothing.

use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_seal::event::{Header, eventleaf, eventleaves};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use uuid::Uuid;

use crate::error::{Result, StoreError};

/// The id of a command: 32 bytes, keyed so that a database dump tells nothing of what was sent.
pub type CommandId = [u8; 32];
/// A keyed digest of a command's content: the same for the same content alone.
pub type Digest = [u8; 32];

/// The one row of a ledger that appends and seals take turns to lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerHead {
    /// The position that the next event gets; equally the number of events.
    pub position: u64,
    /// The newest time that an event or a seal of this ledger bears; times never go back behind it.
    pub time: Timestamp,
    /// The newest seal, if there is one: what events name in `afterseal`.
    pub seal: Option<SealRef>,
    /// The number of events that the newest seal covers.
    pub sealed: u64,
}

/// A seal as events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealRef {
    /// The seal's number.
    pub number: u64,
    /// The SHA-256 leaf hash of its entry in the public log.
    pub leaf: Hash,
}

/// What became of standing for the election ([`crate::Election`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The term is one's own.
    Elected,
    /// Another process holds a term that has not run out.
    Other(Uuid),
}

/// A stored event. `header` holds the bytes that were hashed; `trial`, `trialseq`, `stream`, `streamseq` and `leaf`
/// are indexes derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// 0-based place in the ledger, without gaps.
    pub position: u64,
    /// The trial.
    pub trial: TrialId,
    /// 0-based place in the trial, without gaps.
    pub trialseq: u64,
    /// The stream.
    pub stream: StreamId,
    /// 0-based place in the stream, without gaps.
    pub streamseq: u64,
    /// The eventleaf of `header`.
    pub leaf: Hash,
    /// The canonical JSON of the event header.
    pub header: Vec<u8>,
    /// The data key under which `body` is encrypted.
    pub key: Uuid,
    /// Nonce and ciphertext of the event's secret and data.
    pub body: Vec<u8>,
}

/// A body that is encrypted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResealedBody {
    /// The event's place in the ledger.
    pub position: u64,
    /// The data key under which `body` is encrypted.
    pub key: Uuid,
    /// Nonce and ciphertext.
    pub body: Vec<u8>,
}

/// Headers that are copied together to be hashed: enough for every lane, few enough to stay in the processor's cache.
const HASHED_AT_ONCE: usize = 64;

impl EventRow {
    /// Parses the header after checking that it hashes to `leaf` and that every index column says what it says.
    ///
    /// # Errors
    /// [`StoreError::DamagedEvent`] naming the event and the column.
    pub fn checked_header(&self) -> Result<Header> {
        self.header_of(eventleaf(&self.header))
    }

    /// [`checked_header`](Self::checked_header) of each of these, several hashed at a time.
    ///
    /// # Errors
    /// As there, for the first that is damaged.
    pub fn checked_headers(rows: &[Self]) -> Result<Vec<Header>> {
        let leaves = rows.chunks(HASHED_AT_ONCE);
        let leaves = leaves.flat_map(|rows| eventleaves(rows.iter().map(|row| row.header.as_slice())));
        rows.iter().zip(leaves).map(|(row, leaf)| row.header_of(leaf)).collect()
    }

    fn header_of(&self, leaf: Hash) -> Result<Header> {
        let damaged = |what: String| StoreError::DamagedEvent {
            trial: self.trial.clone(),
            trialseq: self.trialseq,
            what,
        };
        if leaf != self.leaf {
            return Err(damaged("its header does not hash to its leaf".into()));
        }
        let header = Header::read(&self.header).map_err(|e| damaged(format!("its header: {e}")))?;
        let says = [
            ("trial", header.trial == self.trial.as_str()),
            ("trialseq", u64::from(header.trialseq) == self.trialseq),
            ("stream", header.subject.parse() == Ok(self.stream)),
            ("streamseq", u64::from(header.streamseq) == self.streamseq),
        ];
        match says.iter().find(|(_, same)| !same) {
            Some((column, _)) => Err(damaged(format!("column {column} is not what its header says"))),
            None => Ok(header),
        }
    }
}

/// What the sealer reads of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRow {
    /// Place in the ledger.
    pub position: u64,
    /// The trial.
    pub trial: TrialId,
    /// Place in the trial.
    pub trialseq: u64,
    /// The eventleaf.
    pub leaf: Hash,
}

/// A command that was carried out, kept so that sending it again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRow {
    /// The command's id.
    pub id: CommandId,
    /// The keyed digest of its content.
    pub digest: Digest,
    /// The trial it wrote to.
    pub trial: TrialId,
    /// The `trialseq` of its first event.
    pub first: u64,
    /// How many events it made; their `trialseq` follow each other.
    pub count: u32,
}

/// A stream and the number of events it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamVersion {
    /// The trial.
    pub trial: TrialId,
    /// The stream.
    pub stream: StreamId,
    /// Number of its events.
    pub version: u64,
}

/// A name from the outside world (a subject number, a site number) as a keyed hash, and the stream that bears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaturalKeyRow {
    /// The trial.
    pub trial: TrialId,
    /// The keyed hash of kind and name.
    pub key: [u8; 32],
    /// The stream that bears the name.
    pub stream: StreamId,
}

/// What one append transaction writes.
#[derive(Debug, Clone)]
pub struct WriteBatch {
    /// New events, in the order of their positions.
    pub events: Vec<EventRow>,
    /// The commands that made them.
    pub commands: Vec<CommandRow>,
    /// New versions of the streams that grew.
    pub streams: Vec<StreamVersion>,
    /// New sizes of the trials that grew.
    pub trials: Vec<(TrialId, u64)>,
    /// Names taken.
    pub natural_keys: Vec<NaturalKeyRow>,
    /// The ledger's next position.
    pub position: u64,
    /// The ledger's newest time.
    pub time: Timestamp,
}

/// A recorded seal. It is final from the moment it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealRow {
    /// The seal's number, its index in the public log.
    pub number: u64,
    /// The canonical JSON of the seal: the log entry.
    pub entry: Vec<u8>,
    /// SHA-256 leaf hash of `entry`.
    pub leaf: Hash,
    /// How many events of the ledger it covers.
    pub sealed: u64,
    /// The seal's time.
    pub time: Timestamp,
}

/// What an authority outside says of the note of a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampRow {
    /// The tree size of the note.
    pub size: u64,
    /// When the authority saw the note, as `reply` says.
    pub time: Timestamp,
    /// Its answer: a `TimeStampResp` of RFC 3161.
    pub reply: Vec<u8>,
}

/// A trial's head as of the seal in which it last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHead {
    /// The trial.
    pub trial: TrialId,
    /// The seal in which the head came to be this.
    pub seal: u64,
    /// Number of events.
    pub size: u64,
    /// Root of the trial's tree.
    pub root: Hash,
}

/// Which tree a stored node is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TreeName {
    /// The public log over the seals (SHA-256).
    Log,
    /// A trial's tree (SHA3-256).
    Trial(TrialId),
}

impl TreeName {
    /// The name as engines store it: empty for the log, else the trial's id (which is never empty).
    pub fn as_str(&self) -> &str {
        match self {
            Self::Log => "",
            Self::Trial(trial) => trial.as_str(),
        }
    }
}

/// The root of a complete subtree at a level that is a multiple of 8 (one of 256 leaves, of 65,536 …).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// The tree.
    pub tree: TreeName,
    /// Height above the leaves: 8, 16, 24 …
    pub level: u8,
    /// 0-based place among the nodes of that level.
    pub index: u64,
    /// The subtree's root.
    pub hash: Hash,
}

/// What recording one seal writes.
#[derive(Debug, Clone)]
pub struct SealWrite {
    /// The seal.
    pub seal: SealRow,
    /// Heads of the trials that changed since the seal before.
    pub heads: Vec<SealedHead>,
    /// Tree nodes completed since the seal before, those of the log included.
    pub nodes: Vec<NodeRow>,
}

/// A document of a read model. `body` is encrypted under `key`, the data key of the document's scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doc {
    /// The trial.
    pub trial: TrialId,
    /// Place in the model; documents are listed in the byte order of their keys.
    pub id: String,
    /// The data key.
    pub key: Uuid,
    /// Nonce and ciphertext.
    pub body: Vec<u8>,
}

/// How far one generation of a read model has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// The model's name.
    pub model: String,
    /// The generation; a rebuild makes a new one beside the old.
    pub generation: u32,
    /// The position of the next event to fold.
    pub position: u64,
    /// Whether readers use this generation.
    pub active: bool,
}

/// A long piece of work that was asked for (an import, an export) and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: Uuid,
    /// `import` or `export`.
    pub kind: String,
    /// The trial.
    pub trial: TrialId,
    /// Who asked for it.
    pub actor: String,
    /// `true` once it has ended, well or not.
    pub ended: bool,
    /// How it stands, JSON that the service owning the kind understands; never participant data.
    pub detail: Vec<u8>,
}

/// A bearer token, known by its hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// SHA3-256 of the token.
    pub hash: [u8; 32],
    /// Id of what it grants, by which it is named and recorded.
    pub id: Uuid,
    /// Opaque stable id of who holds it.
    pub actor: String,
    /// The role it acts in.
    pub role: String,
    /// The holder's organisation.
    pub organisation: String,
    /// The system it sends from, where the token belongs to one.
    pub source_system: Option<String>,
    /// The trials it reaches; `None` for all of the ledger.
    pub trials: Option<Vec<TrialId>>,
    /// The participant who holds it, for that role.
    pub participant: Option<ParticipantId>,
    /// When it ends by itself, in microseconds.
    pub expires: Option<i64>,
    /// Whether it has been revoked.
    pub revoked: bool,
    /// How far the record knows of it.
    pub known: Known,
}

/// How far the record knows of a grant: it is told of it before it is used for the first time, and of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Known {
    /// Not at all.
    #[default]
    Not,
    /// That it was given.
    Granted,
    /// That it was given and taken back.
    Revoked,
}

impl Known {
    /// As it is stored.
    pub const fn number(self) -> i16 {
        match self {
            Self::Not => 0,
            Self::Granted => 1,
            Self::Revoked => 2,
        }
    }

    /// As it was stored.
    pub const fn of(number: i16) -> Option<Self> {
        match number {
            0 => Some(Self::Not),
            1 => Some(Self::Granted),
            2 => Some(Self::Revoked),
            _ => None,
        }
    }
}

/// A person's account: of the service itself, with a login name and perhaps a password, or at an OpenID Connect provider.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Id, also of what it grants.
    pub id: Uuid,
    /// The name it is logged in to by, in the spelling in which it is unique.
    pub login: Option<String>,
    /// Provider and subject, where a provider vouches for its holder.
    pub subject: Option<(String, String)>,
    /// Opaque stable id of who holds it.
    pub actor: String,
    /// The role it acts in.
    pub role: String,
    /// The holder's organisation.
    pub organisation: String,
    /// The trials it reaches; `None` for all of the ledger.
    pub trials: Option<Vec<TrialId>>,
    /// The participant who holds it, for that role.
    pub participant: Option<ParticipantId>,
    /// The hash of the password, in the PHC string format.
    pub password: Option<String>,
    /// Whether it has been disabled.
    pub disabled: bool,
    /// How far the record knows of it.
    pub known: Known,
    /// When the newest word of the provider about its holder was issued, in seconds; 0 where there is none.
    pub issued: i64,
    /// Whether that word gave them no role.
    pub withdrawn: bool,
    /// The epoch of the sessions that count: it moves on where all that have begun end.
    pub epoch: i64,
}

impl std::fmt::Debug for AccountRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountRow").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A one-time link by which a person chooses a password, known by its hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// SHA3-256 of the link's secret.
    pub hash: [u8; 32],
    /// The account.
    pub account: Uuid,
    /// When it ends, in microseconds.
    pub expires: i64,
}

/// A browser that somebody has logged in with, known by the hash of its cookie alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// SHA3-256 of the cookie.
    pub hash: [u8; 32],
    /// The account.
    pub account: Uuid,
    /// When it was last seen, in microseconds.
    pub seen: i64,
    /// When it ends at the latest, in microseconds.
    pub expires: i64,
    /// The epoch that the account was in when its holder showed who they are.
    pub epoch: i64,
    /// When they last showed it, in microseconds.
    pub confirmed: i64,
}

/// A passkey by which the holder of an account logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The id that its authenticator gave it, in base64url without padding.
    pub credential: String,
    /// The account.
    pub account: Uuid,
    /// A coordinate of its public key on P-256, in base64url without padding.
    pub x: String,
    /// The other.
    pub y: String,
    /// What its holder calls it.
    pub label: String,
    /// When it was added, in microseconds.
    pub added: i64,
    /// Whether it was removed, which the record is about to be told.
    pub ended: bool,
}

/// What somebody chooses to log in by who takes up an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// The hash of a password, in the PHC string format.
    Password(String),
    /// A passkey.
    Passkey(PasskeyRow),
}
