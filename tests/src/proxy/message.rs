//! What goes over a connection to PostgreSQL: messages of a type, a length and a content (protocol 3.0, the manual's chapter
//! "Frontend/Backend Protocol").

use std::collections::HashSet;
use std::io::{Read, Result};

/// The bytes of a length, which counts itself.
const LENGTH: usize = 4;

/// The codes of the requests for TLS and for GSSAPI.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// A message as it came.
#[derive(Debug)]
pub(super) struct Message {
    /// Its type; 0 for the first message of a connection, which has none.
    pub(super) kind: u8,
    /// All of it.
    pub(super) bytes: Vec<u8>,
}

impl Message {
    /// Reads the first message of a connection.
    pub(super) fn first(from: &mut impl Read) -> Result<Self> {
        Self::rest(from, 0, Vec::new())
    }

    /// Reads any other one.
    pub(super) fn read(from: &mut impl Read) -> Result<Self> {
        let mut kind = [0];
        from.read_exact(&mut kind)?;
        Self::rest(from, kind[0], kind.to_vec())
    }

    fn rest(from: &mut impl Read, kind: u8, mut bytes: Vec<u8>) -> Result<Self> {
        let mut length = [0; LENGTH];
        from.read_exact(&mut length)?;
        bytes.extend(length);
        let content = (u32::from_be_bytes(length) as usize).saturating_sub(LENGTH) as u64;
        from.take(content).read_to_end(&mut bytes)?;
        Ok(Self { kind, bytes })
    }

    /// Whether this first message only asks whether the connection may be encrypted. Another first message follows then.
    pub(super) fn asks_for_encryption(&self) -> bool {
        self.bytes
            .get(LENGTH..)
            .is_some_and(|code| ENCRYPTION.map(u32::to_be_bytes).iter().any(|it| it == code))
    }

    /// The texts that the content of a frontend message begins with.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let content = self.bytes.get(1 + LENGTH..).unwrap_or_default();
        content.split(|byte| *byte == 0).map(|text| std::str::from_utf8(text).unwrap_or_default())
    }
}

/// A step of the way that events take into the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A transaction begins and locks the ledger's head row; both are one message.
    Begin,
    /// The statement that writes events is prepared, which happens once a connection.
    Parse,
    /// Events are handed to that statement.
    Bind,
    /// It is carried out.
    Execute,
    /// A transaction that wrote events is committed.
    Commit,
    /// Another one is committed: of a seal, of read models.
    OtherCommit,
    /// Whatever message.
    Any,
}

/// What one connection has talked about, so far as that tells what a message is for.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Names of the prepared statements that write events.
    writing: HashSet<String>,
    /// Whether the statement that was bound last is one of them.
    bound: bool,
    /// Whether the transaction has written events.
    wrote: bool,
}

impl Talk {
    /// The step that a message of the service is.
    pub(super) fn step(&mut self, message: &Message) -> Step {
        let mut texts = message.texts();
        let mut next = || texts.next().unwrap_or_default();
        match message.kind {
            b'Q' => self.query(next()),
            b'P' => {
                let (name, statement) = (next().to_owned(), next());
                let writes = statement.contains("INSERT INTO event ");
                if writes {
                    self.writing.insert(name);
                    return Step::Parse;
                }
                self.writing.remove(&name);
                Step::Any
            }
            b'B' => {
                let (_portal, statement) = (next(), next());
                self.bound = self.writing.contains(statement);
                if self.bound { Step::Bind } else { Step::Any }
            }
            b'E' if self.bound => {
                self.wrote = true;
                Step::Execute
            }
            _ => Step::Any,
        }
    }

    fn query(&mut self, statement: &str) -> Step {
        if statement.starts_with("COMMIT") {
            let wrote = std::mem::take(&mut self.wrote);
            return if wrote { Step::Commit } else { Step::OtherCommit };
        }
        self.wrote = false;
        if statement.starts_with("BEGIN") && statement.contains("FOR UPDATE") {
            Step::Begin
        } else {
            Step::Any
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, content: &[u8]) -> Message {
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(LENGTH + content.len()).unwrap().to_be_bytes());
        bytes.extend(content);
        Message::read(&mut bytes.as_slice()).unwrap()
    }

    #[test]
    fn a_message_is_read_to_its_end_and_no_further() {
        let mut two = message(b'Q', b"COMMIT\0").bytes;
        two.extend(message(b'S', b"").bytes);
        let mut from = two.as_slice();
        assert_eq!(Message::read(&mut from).unwrap().bytes.len(), 12);
        assert_eq!(Message::read(&mut from).unwrap().kind, b'S');
        Message::read(&mut from).unwrap_err();
    }

    #[test]
    fn a_request_for_encryption_is_told_from_the_start() {
        let first = |content: &[u8]| {
            let mut bytes = u32::try_from(LENGTH + content.len()).unwrap().to_be_bytes().to_vec();
            bytes.extend(content);
            Message::first(&mut bytes.as_slice()).unwrap()
        };
        assert!(first(&[4, 210, 22, 47]).asks_for_encryption());
        assert!(!first(b"\0\x03\0\0user\0postgres\0\0").asks_for_encryption());
    }

    #[test]
    fn the_commit_of_events_is_told_from_others() {
        let mut talk = Talk::default();
        let mut step = |kind, content: &[u8]| talk.step(&message(kind, content));
        assert_eq!(step(b'Q', b"BEGIN; SELECT 1 FROM ledger FOR UPDATE\0"), Step::Begin);
        assert_eq!(step(b'Q', b"COMMIT\0"), Step::OtherCommit);
        assert_eq!(step(b'P', b"s1\0WITH x AS (INSERT INTO event (ledger))\0\0\0"), Step::Parse);
        assert_eq!(step(b'P', b"s2\0INSERT INTO seal\0\0\0"), Step::Any);
        assert_eq!(step(b'B', b"\0s2\0"), Step::Any);
        assert_eq!(step(b'E', b"\0"), Step::Any);
        assert_eq!(step(b'Q', b"COMMIT\0"), Step::OtherCommit);
        assert_eq!(step(b'B', b"\0s1\0"), Step::Bind);
        assert_eq!(step(b'E', b"\0"), Step::Execute);
        assert_eq!(step(b'Q', b"COMMIT\0"), Step::Commit);
        assert_eq!(step(b'Q', b"COMMIT\0"), Step::OtherCommit);
    }
}
