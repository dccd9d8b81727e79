//! Why something was refused: one error type for the whole crate.
//!
//! What is checked here comes from people who do not trust each other, so a refusal says exactly which rule was
//! broken (a [`Code`], stable and fit for programs) and where (a path of members, lines or steps). It never repeats
//! what the refused bytes said: they may hold participant data.

use std::fmt;

use serde::{Serialize, Serializer};

/// The result of everything in this crate that can refuse.
pub type Result<T, E = Refused> = std::result::Result<T, E>;

macro_rules! codes {
    ($($variant:ident $code:literal $sentence:literal,)*) => {
        /// The rule that was broken. Its [`as_str`](Code::as_str) form is stable; new ones may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`: ", $sentence, ".")] $variant,)*
        }

        impl Code {
            /// The code as programs and reports name it: lower-case words joined by hyphens.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

impl Code {
    /// Whether this only says where reading ends here. A verifier that reads more, or knows more kinds of keys, could
    /// find nothing wrong: nothing was accepted, and nothing is proved against what was refused.
    pub const fn is_own_limit(self) -> bool {
        matches!(self, Self::TooManyValues | Self::NoteTooLarge | Self::QuorumUnknown)
    }
}

codes! {
    NotJson "not-json" "this is not well-formed JSON",
    NotAnObject "not-an-object" "this is not a JSON object",
    DuplicateKey "duplicate-key" "a key stands twice in one JSON object",
    NotAnInteger "not-an-integer" "a number is not a plain integer between -(2^53-1) and 2^53-1",
    TooDeep "too-deep" "the JSON is nested too deeply",
    TooManyValues "too-many-values" "the JSON has more values than are read here",
    MemberMissing "member-missing" "a member is missing",
    MemberUnknown "member-unknown" "a member does not belong here",
    MemberType "member-type" "the member has a value of a wrong kind",
    WrongFormat "wrong-format" "this is of another format than the one expected",
    HashMalformed "hash-malformed" "this is not a hash of 64 lower-case hex digits",
    TimeMalformed "time-malformed" "this is not a time written as YYYY-MM-DDThh:mm:ss.ffffffZ",
    NoSuchTime "no-such-time" "this date or time of day does not exist",
    Base64 "base64" "this is not canonical, padded standard base64",

    PointerMalformed "pointer-malformed" "this is not a JSON Pointer",
    SaltMalformed "salt-malformed" "a salt is not 32 lower-case hex digits",
    SecretMalformed "secret-malformed" "a secret is not 64 lower-case hex digits",
    FieldContent "field-content" "a field shows something other than one scalar, one array length or `empty: true`",
    FieldsNotAnObject "fields-not-an-object" "the shown fields cannot all be part of one JSON object",
    FieldsIncomplete "fields-incomplete" "nothing is hidden, yet the shown fields do not rebuild one object",
    FieldOrder "field-order" "the shown fields are not strictly in the order of their pointers",
    NoFields "no-fields" "a disclosure has at least one field",
    DataRoot "data-root" "the data or fields do not give the data root of the event",

    AttributeMissing "attribute-missing" "the header lacks an attribute",
    AttributeName "attribute-name" "a header attribute has a name that is not allowed",
    AttributeValue "attribute-value" "a header attribute has a value that is not allowed",
    EventId "event-id" "the event's id is not a UUIDv7 in lower case",
    TrialId "trial-id" "this is not a trial id",
    DataSchema "data-schema" "the data schema does not fit the event type",
    AfterSeal "after-seal" "`afterseal` is malformed",

    TreeNodes "tree-nodes" "the tree nodes do not fit the tree size",
    IndexOutside "index-outside" "the index lies outside the tree",
    SizeOrder "size-order" "the two tree sizes cannot be compared: the first is zero or larger than the second",
    PathTooShort "path-too-short" "the tree proof is too short",
    PathTooLong "path-too-long" "the tree proof is too long",
    RootDiffers "root-differs" "the tree proof does not lead to the root",
    MapProofMalformed "map-proof-malformed" "the map proof is too long, or its deepest sibling is empty",
    MapRootDiffers "map-root-differs" "the trial head is not in the seal's map",
    TrialPresent "trial-present" "the proof of absence shows the head of the very trial",
    OtherTrialPlace "other-trial-place" "the other trial's place is not on the way to the absent trial's",

    KeyMalformed "key-malformed" "this is not a verifier key",
    KeyId "key-id" "the key id is not that of the key",
    KeyKind "key-kind" "the key is of a kind that is not allowed here",
    KeyWeak "key-weak" "the public key is not canonical, or of small order",
    KeyReused "key-reused" "the export key is also the key of a log or a witness; one key serves one purpose",
    KeyName "key-name" "the key name is not allowed",
    NoteMalformed "note-malformed" "this is not a signed note",
    NoteTooLarge "note-too-large" "the signed note has too many bytes or signatures",
    CheckpointMalformed "checkpoint-malformed" "this is not a checkpoint of three lines",
    LogSignatureMissing "log-signature-missing" "no log key of the policy signed this checkpoint: it is another's, or the log's key was changed and the policy is an older one",
    LogSignature "log-signature" "the log's signature does not verify",
    AddCheckpointMalformed "add-checkpoint-malformed" "this is not a request to cosign a checkpoint",
    Cosignature "cosignature" "a witness's cosignature does not verify",
    Quorum "quorum" "the quorum of witnesses is not met",
    QuorumUnknown "quorum-unknown" "whether the quorum of witnesses is met depends on signatures that cannot be checked here",
    PolicyCharacter "policy-character" "the policy has a control character other than tab and newline",
    PolicyLine "policy-line" "a line of the policy cannot be understood",
    PolicyKeyTwice "policy-key-twice" "a key stands twice in the policy",
    PolicyName "policy-name" "a name is already taken in the policy, or not allowed",
    PolicyUnknownName "policy-unknown-name" "the policy uses a name that is not defined above",
    PolicyMemberTwice "policy-member-twice" "a policy member is used twice",
    PolicyThreshold "policy-threshold" "a group's threshold is not a number from 1 to the count of its members",
    PolicyQuorum "policy-quorum" "the policy needs exactly one quorum line",
    TrustForm "trust-form" "the trust text is not written as a ledger writes it, so that its fingerprint says nothing",
    TilePath "tile-path" "this is not a path of a tile, an entry bundle, a note or a timestamp",
    SizesMalformed "sizes-malformed" "this is not a list of the tree sizes that have a timestamp",
    BundleMalformed "bundle-malformed" "this is not an entry bundle",
    EntryTooLarge "entry-too-large" "a log entry has more than 65535 bytes",
    LogProofMalformed "log-proof-malformed" "this is not a transparency log proof as used here",

    SealPlace "seal-place" "the seal is of another ledger, or at another place of the log",
    SealNotInLog "seal-not-in-log" "the seal is not in the log",
    SealAfterPublic "seal-after-public" "the seal is dated more than 60 seconds after it was public",
    EventNotInTrial "event-not-in-trial" "the event is not in the trial's tree",
    HeadOfAnotherTrial "head-of-another-trial" "the head is that of another trial",
    AnotherLedger "another-ledger" "this belongs to another ledger",
    EventAfterSeal "event-after-seal" "the event is dated after its seal",
    BracketIncomplete "bracket-incomplete" "the bracket and `afterseal` do not go together: one is there, the other is not",
    AfterSealDiffers "after-seal-differs" "`afterseal` names another seal than the bracket shows",
    PriorNotePresence "prior-note-presence" "the prior note is missing, or there is one where there was none",
    PriorNoteDiffers "prior-note-differs" "the note is not the one that the seal names as prior",
    OutsideBracket "outside-bracket" "the covering seal is not one of the two that may cover the event",
    EventBeforeSeal "event-before-seal" "the event is dated before the seal it names",
    SealOrder "seal-order" "the earlier head is proved by a later seal",
    NotAnExtension "not-an-extension" "the later head does not extend the earlier one",

    FilePath "file-path" "a file path is not allowed",
    FileUnknown "file-unknown" "a file does not belong in a dataset",
    FileTwice "file-twice" "a file is listed twice, or two differ by case alone",
    FileMissing "file-missing" "a file is missing",
    FileNotListed "file-not-listed" "a file is not in the manifest",
    FileDiffers "file-differs" "a file's SHA-256 is not that of the manifest",
    Lineage "lineage" "tables and their lineage come together or not at all",
    Envelope "envelope" "this is not a signed manifest",
    Statement "statement" "the manifest states something else than a dataset",
    ManifestSignature "manifest-signature" "no signature of the manifest verifies under the export key",
    Withheld "withheld" "data is withheld for a reason that is none of those there are",
    ByteOrderMark "byte-order-mark" "the file begins with a byte order mark",
    LineEnding "line-ending" "lines end with a single newline, the last one too",
    RecordPlace "record-place" "the header's place is not that of its line",
    RecordIdTwice "record-id-twice" "an event id stands twice in the record",
    RecordTime "record-time" "time goes back in the record",
    StreamOrder "stream-order" "the places in a stream do not grow, or have a gap",
    RecordSize "record-size" "the record has another number of lines than its head says",
    RecordRoot "record-root" "the record's leaves do not give the root of its head",

    SubmissionForm "submission-form" "this is not a detached JWS by Ed25519 as submitters send it",
    SubmissionSignature "submission-signature" "the submitter's signature does not verify",
    AssertionForm "assertion-form" "this is not what a passkey answers to a challenge",
    AssertionChallenge "assertion-challenge" "the passkey answered to another statement",
    AssertionRelyingParty "assertion-relying-party" "the passkey was used on the page of another domain than its own",
    AssertionUser "assertion-user" "the passkey did not verify who used it",
    AssertionSignature "assertion-signature" "the passkey's signature does not verify",

    SealNumber "seal-number" "a seal number is skipped or repeated",
    SealTime "seal-time" "time goes back between seals",
    SealCounts "seal-counts" "a seal's counts are not those of its heads",
    SealMap "seal-map" "a seal's map is not that of its heads",
    TrialShrank "trial-shrank" "a trial shrank, vanished or changed without growing",
    HeadTwice "head-twice" "a trial has two heads under one seal",
    PriorUnknown "prior-unknown" "the seal's prior is that of no earlier note",
    PriorBack "prior-back" "the seal's prior goes back",
    NoteOfAnotherTree "note-of-another-tree" "the note is of another tree than the seals give",
    NoteSize "note-size" "the note is not of the size it is filed under",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Something was refused: which rule it broke, and where.
///
/// `Display` is one sentence, such as `bracket.before.sealProof: the quorum of witnesses is not met`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{colon}{sentence}", colon = if place.is_empty() { "" } else { ": " }, sentence = code.sentence())]
pub struct Refused {
    code: Code,
    place: String,
}

impl Refused {
    /// A refusal whose place is what the caller looks at as a whole.
    pub fn new(code: Code) -> Self {
        Self { code, place: String::new() }
    }

    /// The same refusal, seen from one step further out: `place` is put in front of where it already points.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place =
            if self.place.is_empty() { place.to_string() } else { format!("{place}.{}", self.place) };
        self
    }

    /// The rule that was broken.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Where it was broken: members, lines and steps joined by dots, outermost first; empty for the whole.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The same refusal under the name `instead`, if it is a `code`: a caller that knows what a failed tree proof
    /// means says it so.
    #[must_use]
    pub(crate) fn renamed(mut self, code: Code, instead: Code) -> Self {
        if self.code == code {
            self.code = instead;
        }
        self
    }
}

/// Adds the place to a refusal that passes through.
pub(crate) trait At<T> {
    fn at(self, place: impl fmt::Display) -> Result<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, place: impl fmt::Display) -> Self {
        self.map_err(|refused| refused.at(place))
    }
}

/// Refusals in the order in which they are met, where checking goes on behind the first.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Vec<Refused>);

impl Refusals {
    /// Adds a refusal with `code` unless it `holds`.
    pub(crate) fn check(&mut self, holds: bool, code: Code) {
        if !holds {
            self.0.push(Refused::new(code));
        }
    }

    /// Takes what a check gave, or its refusal.
    pub(crate) fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|refused| self.0.push(refused)).ok()
    }

    /// Adds what `check` adds, at `place`.
    pub(crate) fn within<T>(&mut self, place: impl fmt::Display, check: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.0.len();
        let value = check(self);
        let inner = self.0.split_off(before);
        self.0.extend(inner.into_iter().map(|refused| refused.at(&place)));
        value
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Refused> {
        self.0
    }

    /// `value` where nothing was refused, else the first refusal.
    pub(crate) fn first<T>(self, value: T) -> Result<T> {
        self.0.into_iter().next().map_or(Ok(value), Err)
    }

    /// `value` where nothing was refused, else all refusals.
    pub(crate) fn all<T>(self, value: T) -> Result<T, Vec<Refused>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

impl Extend<Refused> for Refusals {
    fn extend<I: IntoIterator<Item = Refused>>(&mut self, refused: I) {
        self.0.extend(refused);
    }
}

/// `Ok` where `holds`, else a refusal with `code`.
pub(crate) fn ensure(holds: bool, code: Code) -> Result<()> {
    if holds { Ok(()) } else { Err(Refused::new(code)) }
}
