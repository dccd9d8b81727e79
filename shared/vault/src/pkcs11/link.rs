//! The side of it that blocks: the library in this process, the session with the token, and the keys that are seen in it.

use std::fmt;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::Ulong;
use zeroize::Zeroizing;

use super::Token;
use crate::aead::{NONCE_BYTES, TAG_BYTES};
use crate::error::VaultError;
use crate::random;

/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;
/// What a key's id begins with, so that it is told from that of another back end.
const PREFIX: &str = "pkcs11";

/// Which key of a ledger: the higher its generation, the later it was made. On the token it is the object's `CKA_ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyId {
    generation: u64,
    /// Random: two tokens, or a token that was made anew, have no two keys of one id.
    number: u64,
}

impl KeyId {
    pub(super) fn parse(id: &str) -> Option<Self> {
        let mut parts = id.split('-');
        let (prefix, generation, number) = (parts.next()?, parts.next()?, parts.next()?);
        let parsed =
            Self { generation: generation.parse().ok()?, number: u64::from_str_radix(number, 16).ok()? };
        (prefix == PREFIX && parsed.to_string() == id).then_some(parsed)
    }

    fn to_bytes(self) -> Vec<u8> {
        [self.generation.to_be_bytes(), self.number.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (generation, number) = bytes.split_first_chunk()?;
        let number = number.try_into().ok()?;
        Some(Self { generation: u64::from_be_bytes(*generation), number: u64::from_be_bytes(number) })
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}-{}-{:016x}", self.generation, self.number)
    }
}

/// The way to a token.
pub(super) struct Link {
    library: Pkcs11,
    token: Token,
    /// `CKA_LABEL` of the ledger's keys: a token may hold those of several ledgers.
    key_label: String,
    session: Option<KeySession>,
    /// Whether the PIN was refused. It is not tried again, for the token locks itself after a few times.
    is_refused: bool,
}

/// Why something was not done.
enum Failure {
    /// What the token or its library answered.
    Answer(Error),
    /// What is wrong with the token, to stand after its name.
    Problem(String),
    Vault(VaultError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl Link {
    /// Loads the library. Nothing is asked of the token yet.
    pub(super) fn load(token: Token, origin: &str) -> Result<Self, VaultError> {
        let library = Pkcs11::new(&token.module).map_err(|error| {
            let module = token.module.display();
            VaultError::Management(format!("the PKCS#11 module {module} cannot be loaded: {error}"))
        })?;
        let key_label = format!("trialseal {origin}");
        Ok(Self { library, token, key_label, session: None, is_refused: false })
    }

    /// The keys of the ledger, the oldest first.
    pub(super) fn keys(&mut self) -> Result<Vec<KeyId>, VaultError> {
        self.with(|session| session.read_keys().map(|()| session.ids()))
    }

    /// As [`Link::keys`], where the token has one at least: it is made where there is none.
    pub(super) fn make_missing(&mut self) -> Result<Vec<KeyId>, VaultError> {
        self.with(|session| {
            session.read_keys()?;
            if session.keys.is_empty() {
                session.generate(1)?;
            }
            Ok(session.ids())
        })
    }

    /// Makes a successor unless there is one. A crash leaves the one key, or both.
    pub(super) fn succeed(&mut self) -> Result<Vec<KeyId>, VaultError> {
        self.with(|session| {
            session.read_keys()?;
            if let [(only, _)] = session.keys[..] {
                session.generate(only.generation.saturating_add(1))?;
            }
            Ok(session.ids())
        })
    }

    /// Destroys this key if it is the former one of two. Whoever stood still while others went on knows one of before, and must
    /// not destroy what is the former one by now. A crash leaves both, or the successor.
    pub(super) fn destroy_former(&mut self, former: KeyId) -> Result<Vec<KeyId>, VaultError> {
        self.with(|session| {
            session.read_keys()?;
            if let [(id, handle), _] = session.keys[..]
                && id == former
            {
                session.session.destroy_object(handle)?;
                session.read_keys()?;
                if session.keys.iter().any(|(id, _)| *id == former) {
                    return Err(Failure::Problem(format!("still has the key {former} that was destroyed")));
                }
            }
            Ok(session.ids())
        })
    }

    /// `nonce ‖ ciphertext ‖ tag` of a data key.
    pub(super) fn wrap(
        &mut self,
        id: KeyId,
        context: &[u8],
        key: &[u8; KEY_BYTES],
    ) -> Result<Vec<u8>, VaultError> {
        self.with(|session| match session.find(id)? {
            Some(handle) => session.encrypt(handle, context, key),
            None => Err(Failure::Problem(format!("has lost the master key {id}"))),
        })
    }

    /// Opens what [`Link::wrap`] made; `None` where the token does not have the key.
    pub(super) fn unwrap(
        &mut self,
        id: KeyId,
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<[u8; KEY_BYTES]>>, VaultError> {
        self.with(|session| match session.find(id)? {
            Some(handle) => session.decrypt(handle, context, wrapped).map(Some),
            None => Ok(None),
        })
    }

    /// What is wrong with the token, in a sentence that names it.
    pub(super) fn problem(&self, problem: &str) -> VaultError {
        VaultError::Management(format!("the PKCS#11 token {:?} {problem}", self.token.label))
    }

    /// Does something in the session; where that was lost, once more in a new one.
    fn with<T>(&mut self, work: impl Fn(&mut KeySession) -> Result<T, Failure>) -> Result<T, VaultError> {
        let done = match self.once(&work) {
            Err(Failure::Answer(error)) if is_lost(&error) => self.once(&work),
            done => done,
        };
        done.map_err(|failure| match failure {
            Failure::Answer(error) => self.problem(&answer(&error)),
            Failure::Problem(problem) => self.problem(&problem),
            Failure::Vault(error) => error,
        })
    }

    /// Does something in the session at hand, or in a new one. After a failure none is at hand, for nobody knows what is left of
    /// it.
    fn once<T>(&mut self, work: impl Fn(&mut KeySession) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.begin()?,
        };
        let done = work(&mut session)?;
        self.session = Some(session);
        Ok(done)
    }

    fn begin(&mut self) -> Result<KeySession, Failure> {
        if self.is_refused {
            let problem = "refused the PIN, which is not tried again before the next start";
            return Err(Failure::Problem(problem.to_owned()));
        }
        let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match self.library.initialize(threads) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let session = self.library.open_rw_session(self.slot()?)?;
        // Sessions of one process share their login.
        match session.login(UserType::User, Some(&self.token.pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => {
                self.is_refused = about_the_pin(&error).is_some();
                return Err(error.into());
            }
        }
        let mut session = KeySession { session, label: self.key_label.clone(), keys: Vec::new() };
        session.read_keys()?;
        Ok(session)
    }

    fn slot(&self) -> Result<Slot, Failure> {
        let mut others = Vec::new();
        for slot in self.library.get_slots_with_initialized_token()? {
            let token = self.library.get_token_info(slot)?;
            if token.label() == self.token.label {
                return Ok(slot);
            }
            others.push(format!("{:?}", token.label()));
        }
        let module = self.token.module.display();
        let has = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        Err(Failure::Problem(format!("is not there: the module {module} knows of {has}")))
    }
}

/// A session in which a user is logged in, and the ledger's keys as they were last seen in it, the oldest first.
struct KeySession {
    session: Session,
    label: String,
    keys: Vec<(KeyId, ObjectHandle)>,
}

impl KeySession {
    fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(|(id, _)| *id).collect()
    }

    fn read_keys(&mut self) -> Result<(), Failure> {
        // Whoever is not logged in is shown no key, as if there were none.
        if self.session.get_session_info()?.session_state() != SessionState::RwUser {
            return Err(Error::Pkcs11(RvError::UserNotLoggedIn, Function::FindObjects).into());
        }
        let named = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Token(true),
            Attribute::Label(self.label.as_bytes().to_vec()),
        ];
        let mut keys = Vec::new();
        for handle in self.session.find_objects(&named)? {
            keys.push((self.checked_id(handle)?, handle));
        }
        keys.sort_by_key(|(id, _)| *id);
        match keys[..] {
            [] | [_] => {}
            [(former, _), (current, _)] if former.generation < current.generation => {}
            _ => {
                let ids: Vec<_> = keys.iter().map(|(id, _)| id.to_string()).collect();
                return Err(Failure::Problem(format!(
                    "has {} keys labelled {:?} ({}), where a master key and perhaps its successor should be: delete those \
                     that wrap nothing in the key store",
                    ids.len(),
                    self.label,
                    ids.join(", ")
                )));
            }
        }
        self.keys = keys;
        Ok(())
    }

    /// The id of a key that was made on the token and cannot be read out of it; any other is refused, for who has a copy of
    /// it has what it wrapped, however well it is destroyed here.
    fn checked_id(&self, handle: ObjectHandle) -> Result<KeyId, Failure> {
        let asked = [AttributeType::Id, AttributeType::AlwaysSensitive, AttributeType::NeverExtractable];
        let (mut id, mut facts) = (None, 0);
        for attribute in self.session.get_attributes(handle, &asked)? {
            match attribute {
                Attribute::Id(bytes) => id = KeyId::from_bytes(&bytes),
                Attribute::AlwaysSensitive(true) | Attribute::NeverExtractable(true) => facts += 1,
                _ => {}
            }
        }
        match id {
            Some(id) if facts == 2 => Ok(id),
            _ => Err(Failure::Problem(format!(
                "has a key labelled {:?} that was not made by trialseal, or that can be read out: delete it",
                self.label
            ))),
        }
    }

    /// Makes a key. Where somebody else made one at the same moment, both give way: never are there two in use.
    fn generate(&mut self, generation: u64) -> Result<(), Failure> {
        let number = u64::from_be_bytes(*random::bytes::<8>()?);
        let template = self.template(KeyId { generation, number });
        let made = self.session.generate_key(&Mechanism::AesKeyGen, &template)?;
        let read = self.read_keys();
        if read.is_err() {
            self.session.destroy_object(made)?;
        }
        read
    }

    fn template(&self, id: KeyId) -> [Attribute; 12] {
        [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
            Attribute::ValueLen(Ulong::new(32)),
            Attribute::Label(self.label.as_bytes().to_vec()),
            Attribute::Id(id.to_bytes()),
        ]
    }

    /// The handle of a key. One that another process made meanwhile is found as well.
    fn find(&mut self, id: KeyId) -> Result<Option<ObjectHandle>, Failure> {
        let known =
            |session: &Self| session.keys.iter().find(|(key, _)| *key == id).map(|(_, handle)| *handle);
        if known(self).is_none() {
            self.read_keys()?;
        }
        Ok(known(self))
    }

    fn encrypt(&self, key: ObjectHandle, context: &[u8], text: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut nonce = random::nonce()?;
        let gcm = Mechanism::AesGcm(GcmParams::new(&mut nonce, context, tag_bits())?);
        let sealed = self.session.encrypt(&gcm, key, text)?;
        drop(gcm);
        // Some tokens take no nonce from outside and put their own in its place.
        Ok([&nonce[..], &sealed].concat())
    }

    fn decrypt(
        &self,
        key: ObjectHandle,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Failure> {
        let (mut nonce, text) = match sealed.split_first_chunk::<NONCE_BYTES>() {
            Some((nonce, text)) if text.len() == KEY_BYTES + TAG_BYTES => (*nonce, text),
            _ => return Err(VaultError::Refused.into()),
        };
        let gcm = Mechanism::AesGcm(GcmParams::new(&mut nonce, context, tag_bits())?);
        match self.session.decrypt(&gcm, key, text).map(Zeroizing::new) {
            Ok(opened) => {
                let opened = <[u8; KEY_BYTES]>::try_from(opened.as_slice());
                Ok(Zeroizing::new(opened.map_err(|_| VaultError::Refused)?))
            }
            Err(error) if is_refusal(&error) || is_vague(&error) && self.works(key) => {
                Err(VaultError::Refused.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a key opens what it sealed, so that what it does not open was not sealed so.
    fn works(&self, key: ObjectHandle) -> bool {
        let sealed = self.encrypt(key, b"", &[0; KEY_BYTES]).ok();
        let Some((nonce, text)) = sealed.as_deref().and_then(|it| it.split_first_chunk::<NONCE_BYTES>())
        else {
            return false;
        };
        let mut nonce = *nonce;
        GcmParams::new(&mut nonce, b"", tag_bits())
            .is_ok_and(|gcm| self.session.decrypt(&Mechanism::AesGcm(gcm), key, text).is_ok())
    }
}

fn tag_bits() -> Ulong {
    Ulong::new(128)
}

/// Whether a new session may put it right.
fn is_lost(error: &Error) -> bool {
    let Error::Pkcs11(answer, _) = error else { return false };
    matches!(
        answer,
        RvError::CryptokiNotInitialized
            | RvError::DeviceError
            | RvError::DeviceRemoved
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::SlotIdInvalid
            | RvError::TokenNotPresent
            | RvError::UserNotLoggedIn
    )
}

/// Whether bytes are said not to be what was sealed.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange, Function::Decrypt)
    )
}

/// Whether it may be a refusal, or trouble: SoftHSM has one answer for both.
fn is_vague(error: &Error) -> bool {
    matches!(error, Error::Pkcs11(RvError::GeneralError | RvError::FunctionFailed, Function::Decrypt))
}

/// What is said of the PIN, where that is what the answer is about.
fn about_the_pin(error: &Error) -> Option<&'static str> {
    let Error::Pkcs11(answer, _) = error else { return None };
    match answer {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Some(
            "refuses the PIN: correct it before the next start, for a token locks itself after a few wrong ones",
        ),
        RvError::PinLocked => {
            Some("is locked after too many wrong PINs: have its security officer set the user's PIN again")
        }
        RvError::PinExpired => Some("asks for another PIN, as this one is too old"),
        RvError::UserPinNotInitialized => Some("has no PIN of its user yet: set one"),
        _ => None,
    }
}

/// What the token or its library said, to stand after the token's name.
fn answer(error: &Error) -> String {
    match (about_the_pin(error), error) {
        (Some(said), _) => said.to_owned(),
        (None, Error::Pkcs11(answer, function)) => format!("answers C_{function:?} with {answer:?}"),
        (None, error) => format!("cannot be used: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_one_way() {
        let id = KeyId { generation: 12, number: 0xab };
        assert_eq!(id.to_string(), "pkcs11-12-00000000000000ab");
        assert_eq!(KeyId::parse("pkcs11-12-00000000000000ab"), Some(id));
        assert_eq!(KeyId::from_bytes(&id.to_bytes()), Some(id));
        for other in
            ["", "pkcs11-12-ab", "pkcs11-012-00000000000000ab", "file-00000000000000ab", "pkcs11-1-x-y"]
        {
            assert_eq!(KeyId::parse(other), None, "{other}");
        }
        assert_eq!(KeyId::from_bytes(&[1; 15]), None);
    }

    /// SoftHSM never locks itself.
    #[test]
    fn what_a_token_says_of_its_pin_is_said_in_a_sentence() {
        let said = |said| answer(&Error::Pkcs11(said, Function::Login));
        assert!(said(RvError::PinLocked).starts_with("is locked after too many wrong PINs"));
        assert!(said(RvError::PinExpired).starts_with("asks for another PIN"));
        assert!(said(RvError::UserPinNotInitialized).starts_with("has no PIN"));
        assert_eq!(said(RvError::DeviceRemoved), "answers C_Login with DeviceRemoved");
        let is_about_it = |said| about_the_pin(&Error::Pkcs11(said, Function::Login)).is_some();
        assert!(is_about_it(RvError::PinLocked) && !is_about_it(RvError::DeviceRemoved));
    }
}
