//! Who has read participant data, as part of the record: whoever is about to hand some out has it recorded first.

use std::sync::Arc;

use trialseal_record::event::{Event, RecordRead};
use trialseal_record::ids::{Scope, StreamId, TrialId};
use trialseal_record::values::{Extent, Places, Reading};
use trialseal_record::{ParticipantId, Text};
use trialseal_seal::data::Secret;
use trialseal_vault::{Vault, VaultError};
use uuid::{Builder, Uuid};

use crate::draft::{Draft, PrepareError, Stamp};
use crate::writer::{Append, AppendError, Appended, Clock, Writer};

/// Fills bytes with random ones.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Why a reading could not be recorded; then nothing may be read.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// The trial's key could not be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The event cannot be stored.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// It was not recorded, or perhaps it was.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl AccessLogError {
    /// Whether the same may succeed a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Append(error) => {
                matches!(error, AppendError::Busy(_) | AppendError::Deposed | AppendError::Store { .. })
            }
            Self::Vault(error) => matches!(error, VaultError::Store(_) | VaultError::Management(_)),
            Self::Prepare(_) => false,
        }
    }
}

/// What is about to be read by one request.
#[derive(Debug, Clone)]
pub struct Access {
    /// The trial.
    pub trial: TrialId,
    /// By which way.
    pub reading: Reading,
    /// Whose data.
    pub whose: Whose,
    /// The events among which the data are, where they are read as events.
    pub events: Option<Places>,
    /// The export whose dataset it is.
    pub export: Option<Uuid>,
    /// What for, where the reader says so.
    pub purpose: Option<Text>,
}

/// Whose data are about to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Of these participants, and perhaps data that name nobody.
    Of(Vec<ParticipantId>),
    /// Of those who agree to the sharing of their data.
    Consenting,
    /// Everybody's.
    Trial,
}

/// Records what is read. Clones share everything.
#[derive(Clone)]
pub struct AccessLog {
    writer: Writer,
    vault: Arc<Vault>,
    clock: Clock,
    random: Random,
}

impl AccessLog {
    /// A log that records through `writer`.
    pub fn new(writer: Writer, vault: Arc<Vault>, clock: Clock, random: Random) -> Self {
        Self { writer, vault, clock, random }
    }

    /// Records that somebody reads. Returns once it is durable: only then may the data go out.
    ///
    /// # Errors
    /// [`AccessLogError`]
    pub async fn record(&self, access: Access, reader: &Stamp) -> Result<(), AccessLogError> {
        let trial = access.trial.clone();
        let (stream, event) = access.into_event();
        let key = self.vault.key_of(&Scope::of(&trial, stream)).await?;
        let draft = Draft { stream, event, key };
        let event = draft.prepare(reader, self.id(), &Secret::from_bytes(self.bytes()))?;
        // Nobody sends a reading again: each has a command of its own, and rests on nothing.
        let append = Append {
            command: self.bytes(),
            digest: [0; 32],
            trial,
            new_trial: false,
            expected: Vec::new(),
            natural_keys: Vec::new(),
            events: vec![event],
        };
        match self.writer.append(append).await? {
            // What was recorded is another's reading.
            Appended { replayed: true, .. } => Err(AppendError::CommandReused.into()),
            Appended { .. } => Ok(()),
        }
    }

    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        (self.random)(&mut bytes);
        bytes
    }

    fn id(&self) -> Uuid {
        let mut random = [0; 10];
        (self.random)(&mut random);
        let millis = (self.clock)().micros().max(0).unsigned_abs() / 1000;
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

impl Access {
    /// The event, and the stream it goes to: the participant's where it is about one alone.
    fn into_event(self) -> (StreamId, Event) {
        let (stream, extent, participants) = match self.whose {
            Whose::Of(participants) => match participants.as_slice() {
                [one] => (StreamId::access_to(*one), Extent::Participant, Vec::new()),
                _ => (StreamId::access_to_trial(&self.trial), Extent::Listed, participants),
            },
            Whose::Consenting => (StreamId::access_to_trial(&self.trial), Extent::Consenting, Vec::new()),
            Whose::Trial => (StreamId::access_to_trial(&self.trial), Extent::Trial, Vec::new()),
        };
        let Self { reading, events, export, purpose, .. } = self;
        (stream, RecordRead { reading, extent, participants, events, export, purpose }.into())
    }
}
