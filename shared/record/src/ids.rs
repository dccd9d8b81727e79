//! Names of things: trials, streams, participants, sites, imports, and the scopes of data keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// Longest trial id, in bytes (section 4 of the format specification).
pub const MAX_TRIAL_ID_BYTES: usize = 64;

/// A text that is no id of the kind asked for. It carries the kind alone, never the text itself, since the text may
/// come from anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a valid {0}")]
pub struct InvalidId(&'static str);

/// The id of a trial: a letter or digit, then up to 63 letters, digits, dots, underscores and hyphens; or
/// [`TrialId::LEDGER`], under which the ledger keeps its own administration (section 4, `trial`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = "DEMO-1"))]
#[serde(try_from = "String", into = "String")]
pub struct TrialId(String);

impl TrialId {
    /// The spelling of the ledger's own trial id.
    pub const LEDGER: &'static str = "_ledger";

    /// The trial under which the ledger keeps its own administration.
    pub fn ledger() -> Self {
        Self(Self::LEDGER.to_owned())
    }

    /// Whether this is the ledger's own administration.
    pub fn is_ledger(&self) -> bool {
        self.0 == Self::LEDGER
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_valid(text: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        text == Self::LEDGER
            || (text.len() <= MAX_TRIAL_ID_BYTES
                && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
                && text.bytes().all(allowed))
    }
}

impl TryFrom<String> for TrialId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        if Self::is_valid(&text) { Ok(Self(text)) } else { Err(InvalidId("trial id")) }
    }
}

impl FromStr for TrialId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.to_owned().try_into()
    }
}

impl From<TrialId> for String {
    fn from(id: TrialId) -> Self {
        id.0
    }
}

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = Uuid))]
        #[serde(transparent)]
        pub struct $name(
            /// The random UUID behind the id; it is derived from nothing.
            pub Uuid,
        );

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_uuid(text).map(Self).ok_or(InvalidId($what))
            }
        }
    };
}

uuid_id!(
    /// The id of a participant. Random, so that it says nothing about the person and can stand in a header.
    ParticipantId,
    "participant id"
);
uuid_id!(
    /// The id of a site.
    SiteId,
    "site id"
);
uuid_id!(
    /// The id of one import of one file.
    ImportId,
    "import id"
);

/// One spelling a UUID: hyphenated and lower case, as headers carry it.
fn parse_uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then_some(uuid)
}

/// What a stream is the history of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// The trial itself: registration, protocol, IRB decisions, consent versions, results.
    Trial,
    /// One site.
    Site,
    /// One participant.
    Participant,
    /// One import of one file, and the rows of it that belong to no participant.
    Import,
    /// Who has read the data of one participant, or of several at once: of the trial.
    Access,
    /// The erasure of one participant's data: who asked for it, who agreed, and that it was carried out.
    Erasure,
    /// The redactions of one participant's values: who asked for them, who agreed, and that they were carried out.
    Redaction,
    /// What a participant is given, which almost nobody in the trial may know.
    Blinded,
    /// One opening of somebody's record to who does not reach the trial, in an emergency.
    Emergency,
    /// The ledger's own administration, in the trial `_ledger`.
    Ledger,
    /// One grant of a role, in the trial `_ledger`: who may do what since when, and until when.
    Grant,
    /// Failed attempts to log in, in the trial `_ledger`.
    Login,
}

impl StreamKind {
    const ALL: [Self; 12] = [
        Self::Trial,
        Self::Site,
        Self::Participant,
        Self::Import,
        Self::Access,
        Self::Erasure,
        Self::Redaction,
        Self::Blinded,
        Self::Emergency,
        Self::Ledger,
        Self::Grant,
        Self::Login,
    ];

    /// The kind as it stands before the slash of a stream id.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Site => "site",
            Self::Participant => "participant",
            Self::Import => "import",
            Self::Access => "access",
            Self::Erasure => "erasure",
            Self::Redaction => "redaction",
            Self::Blinded => "blinded",
            Self::Emergency => "emergency",
            Self::Ledger => "ledger",
            Self::Grant => "grant",
            Self::Login => "login",
        }
    }
}

/// The name of a stream, `kind/<uuid>`: the `subject` of an event's header (section 4). Unique within its trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    kind: StreamKind,
    uuid: Uuid,
}

impl StreamId {
    /// The trial's own stream; for [`TrialId::LEDGER`] the ledger's.
    ///
    /// Its UUID is of version 8 and made of the 128-bit FNV-1a hash of the trial id, so that everybody finds the
    /// stream knowing nothing but the trial. A trial id is no secret, and a stream is only ever looked up inside its
    /// trial, so neither guessing nor a collision does harm.
    pub fn trial(trial: &TrialId) -> Self {
        const OFFSET_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        let hash = trial.0.bytes().fold(OFFSET_BASIS, |hash, b| (hash ^ u128::from(b)).wrapping_mul(PRIME));
        let kind = if trial.is_ledger() { StreamKind::Ledger } else { StreamKind::Trial };
        Self { kind, uuid: Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid() }
    }

    /// The ledger's own stream, in the trial `_ledger`.
    pub fn ledger() -> Self {
        Self::trial(&TrialId::ledger())
    }

    /// The stream of a grant.
    pub const fn grant(id: Uuid) -> Self {
        Self { kind: StreamKind::Grant, uuid: id }
    }

    /// The one stream of failed attempts to log in.
    pub fn login() -> Self {
        Self { kind: StreamKind::Login, ..Self::ledger() }
    }

    /// The stream of a site.
    pub const fn site(id: SiteId) -> Self {
        Self { kind: StreamKind::Site, uuid: id.0 }
    }

    /// The stream of a participant.
    pub const fn participant(id: ParticipantId) -> Self {
        Self { kind: StreamKind::Participant, uuid: id.0 }
    }

    /// The stream of an import.
    pub const fn import(id: ImportId) -> Self {
        Self { kind: StreamKind::Import, uuid: id.0 }
    }

    /// The stream of who has read a participant's data. It is apart from the participant's own, so that nobody who records
    /// something there has to know who reads; and it stays when the participant's key is destroyed, for what stands in it
    /// is not participant data.
    pub const fn access_to(participant: ParticipantId) -> Self {
        Self { kind: StreamKind::Access, uuid: participant.0 }
    }

    /// The stream of who has read data of several participants at once.
    pub fn access_to_trial(trial: &TrialId) -> Self {
        Self { kind: StreamKind::Access, uuid: Self::trial(trial).uuid }
    }

    /// The stream of the erasure of a participant's data. It is apart from the participant's own, under the trial's key, and
    /// so can be read once the participant's is gone.
    pub const fn erasure_of(participant: ParticipantId) -> Self {
        Self { kind: StreamKind::Erasure, uuid: participant.0 }
    }

    /// The stream of the redactions of a participant's values, under the trial's key.
    pub const fn redactions_of(participant: ParticipantId) -> Self {
        Self { kind: StreamKind::Redaction, uuid: participant.0 }
    }

    /// The stream of what a participant is given, under a key of its own: almost nobody in a trial may know it before the end.
    pub const fn blinded_of(participant: ParticipantId) -> Self {
        Self { kind: StreamKind::Blinded, uuid: participant.0 }
    }

    /// The stream of one opening in an emergency, under the trial's key: whom it is about stands in its event.
    pub const fn emergency(id: Uuid) -> Self {
        Self { kind: StreamKind::Emergency, uuid: id }
    }

    /// What the stream is the history of.
    pub const fn kind(self) -> StreamKind {
        self.kind
    }

    /// The UUID after the slash.
    pub const fn uuid(self) -> Uuid {
        self.uuid
    }

    /// Whether all of it is about this participant and nobody else: their record, who read it, what was erased or redacted of it.
    pub fn is_of(self, participant: ParticipantId) -> bool {
        use StreamKind::{Access, Erasure, Participant, Redaction};
        matches!(self.kind, Participant | Access | Erasure | Redaction) && self.uuid == participant.0
    }

    /// The participant whose own stream this is, if it is one's.
    pub fn as_participant(self) -> Option<ParticipantId> {
        (self.kind == StreamKind::Participant).then_some(ParticipantId(self.uuid))
    }

    /// The participant whose data stand in this stream, if it is one's own or one's blinded one; what stands in any other is the
    /// trial's.
    pub fn subject(self) -> Option<ParticipantId> {
        let is_of_one = matches!(self.kind, StreamKind::Participant | StreamKind::Blinded);
        is_of_one.then_some(ParticipantId(self.uuid))
    }

    /// The site whose stream this is, if it is one's.
    pub fn as_site(self) -> Option<SiteId> {
        (self.kind == StreamKind::Site).then_some(SiteId(self.uuid))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.uuid.hyphenated())
    }
}

impl FromStr for StreamId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId("stream id");
        let (kind, uuid) = text.split_once('/').ok_or(invalid)?;
        let kind = StreamKind::ALL.into_iter().find(|k| k.as_str() == kind).ok_or(invalid)?;
        Ok(Self { kind, uuid: parse_uuid(uuid).ok_or(invalid)? })
    }
}

/// What a data key encrypts: each participant has one, and another for what is blinded; each file has one, and each trial has one for
/// the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything of the trial that is in no stream of a participant's and in no file.
    Trial(TrialId),
    /// One participant's stream.
    Participant(TrialId, ParticipantId),
    /// What one participant is given.
    Blinded(TrialId, ParticipantId),
    /// One file that the service keeps for a while: a dataset, or a file that is being imported.
    File(TrialId, Uuid),
}

impl Scope {
    /// The scope of the data in `stream` of `trial`.
    pub fn of(trial: &TrialId, stream: StreamId) -> Self {
        match (stream.kind, ParticipantId(stream.uuid)) {
            (StreamKind::Participant, participant) => Self::Participant(trial.clone(), participant),
            (StreamKind::Blinded, participant) => Self::Blinded(trial.clone(), participant),
            _ => Self::Trial(trial.clone()),
        }
    }

    /// The trial the scope lies in.
    pub fn trial(&self) -> &TrialId {
        match self {
            Self::Trial(trial)
            | Self::Participant(trial, _)
            | Self::Blinded(trial, _)
            | Self::File(trial, _) => trial,
        }
    }
}

/// `trial/<trial id>`, or `participant/`, `blinded/` or `file/<trial id>/<uuid>`; no two scopes share a spelling, as no trial id has a
/// slash.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trial(trial) => write!(f, "trial/{trial}"),
            Self::Participant(trial, participant) => write!(f, "participant/{trial}/{participant}"),
            Self::Blinded(trial, participant) => write!(f, "blinded/{trial}/{participant}"),
            Self::File(trial, file) => write!(f, "file/{trial}/{}", file.hyphenated()),
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId("scope");
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("trial"), Some(trial), None, None) => Ok(Self::Trial(trial.parse()?)),
            (Some("participant"), Some(trial), Some(participant), None) => {
                Ok(Self::Participant(trial.parse()?, participant.parse()?))
            }
            (Some("blinded"), Some(trial), Some(participant), None) => {
                Ok(Self::Blinded(trial.parse()?, participant.parse()?))
            }
            (Some("file"), Some(trial), Some(file), None) => {
                Ok(Self::File(trial.parse()?, parse_uuid(file).ok_or(invalid)?))
            }
            _ => Err(invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0193a5c2-7d1e-7a40-9c11-5f2a6b7c8d9e";

    #[test]
    fn trial_ids_are_those_of_the_format() {
        for good in ["A", "DEMO-1", "NCT0.1_x", "_ledger", &"a".repeat(64)] {
            assert_eq!(good.parse::<TrialId>().unwrap().to_string(), good);
        }
        for bad in ["", "-a", ".a", "_a", "_ledger2", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<TrialId>().is_err(), "{bad}");
            assert!(serde_json::from_value::<TrialId>(bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn streams_are_read_as_they_are_written_and_in_no_other_spelling() {
        for kind in StreamKind::ALL {
            let text = format!("{}/{UUID}", kind.as_str());
            let stream: StreamId = text.parse().unwrap();
            assert_eq!((stream.kind(), stream.to_string()), (kind, text));
        }
        let upper = format!("site/{}", UUID.to_uppercase());
        let simple = format!("site/{}", UUID.replace('-', ""));
        for bad in ["", "site", "site/", "person/0193a5c2-7d1e-7a40-9c11-5f2a6b7c8d9e", &upper, &simple] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_trials_own_stream_follows_from_its_id() {
        let stream = StreamId::trial(&"DEMO-1".parse().unwrap());
        assert_eq!(stream, StreamId::trial(&"DEMO-1".parse().unwrap()));
        assert_ne!(stream, StreamId::trial(&"DEMO-2".parse().unwrap()));
        assert_eq!(stream.uuid().get_version_num(), 8);
        assert_eq!(stream.to_string(), "trial/c2c530b8-bd3c-84bf-ae96-369cb3b38880");
        assert_eq!(StreamId::ledger().kind(), StreamKind::Ledger);
    }

    #[test]
    fn only_streams_of_participants_have_a_scope_of_their_own() {
        let trial: TrialId = "DEMO-1".parse().unwrap();
        let participant: ParticipantId = UUID.parse().unwrap();
        let own = Scope::of(&trial, StreamId::participant(participant));
        assert_eq!(own, Scope::Participant(trial.clone(), participant));
        assert_eq!(Scope::of(&trial, StreamId::site(SiteId(participant.0))), Scope::Trial(trial.clone()));
        let blinded = Scope::of(&trial, StreamId::blinded_of(participant));
        assert_eq!(blinded, Scope::Blinded(trial.clone(), participant));
        assert_eq!((own.trial(), blinded.trial()), (&trial, &trial));
    }

    #[test]
    fn both_streams_of_a_participant_are_about_them() {
        let participant: ParticipantId = UUID.parse().unwrap();
        let (own, blinded) = (StreamId::participant(participant), StreamId::blinded_of(participant));
        assert_eq!((own.subject(), blinded.subject()), (Some(participant), Some(participant)));
        assert_eq!((own.as_participant(), blinded.as_participant()), (Some(participant), None));
        assert_eq!(StreamId::access_to(participant).subject(), None);
    }

    #[test]
    fn scopes_are_read_as_they_are_written_and_in_no_other_spelling() {
        let (trial, uuid): (TrialId, Uuid) = ("DEMO-1".parse().unwrap(), UUID.parse().unwrap());
        for (scope, text) in [
            (Scope::Trial(trial.clone()), "trial/DEMO-1".to_owned()),
            (Scope::Participant(trial.clone(), ParticipantId(uuid)), format!("participant/DEMO-1/{UUID}")),
            (Scope::Blinded(trial.clone(), ParticipantId(uuid)), format!("blinded/DEMO-1/{UUID}")),
            (Scope::File(trial.clone(), uuid), format!("file/DEMO-1/{UUID}")),
        ] {
            assert_eq!((scope.to_string(), scope.trial()), (text.clone(), &trial));
            assert_eq!(text.parse::<Scope>().unwrap(), scope);
        }
        let upper = format!("file/DEMO-1/{}", UUID.to_uppercase());
        let longer = format!("file/DEMO-1/{UUID}/x");
        for bad in [
            "",
            "trial",
            "trial/a b",
            "participant/DEMO-1",
            "blinded/DEMO-1",
            "file/DEMO-1",
            "file/DEMO-1/x",
            &upper,
            &longer,
        ] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
