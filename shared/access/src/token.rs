use std::fmt::{self, Write};

use sha3::{Digest, Sha3_256};

/// What every token begins with, so that leaked ones can be searched for.
const PREFIX: &str = "ts_";
/// 32 random bytes as lower-case hex digits.
const DIGITS: usize = 64;

/// A bearer token: `ts_` and 64 lower-case hex digits. Shown once, when it is made; only its hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A text that is no token. Carries nothing of the text, which may be a mistyped token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a token: one is `ts_` and 64 lower-case hex digits")]
pub struct InvalidToken;

impl Token {
    /// The token of 32 bytes that must be random.
    pub fn generate(random: &[u8; 32]) -> Self {
        let mut text = String::with_capacity(PREFIX.len() + DIGITS);
        text.push_str(PREFIX);
        for byte in random {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// Reads a token as it was shown.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidToken)?;
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() == DIGITS && digits.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidToken)
        }
    }

    /// The SHA3-256 of the token's text: what is stored, and what it is looked up by. Plain hashing is enough, as 256
    /// random bits cannot be guessed; and as nobody can steer the hash, comparing it need not take constant time.
    pub fn hash(&self) -> [u8; 32] {
        Sha3_256::digest(self.0.as_bytes()).into()
    }

    /// The token itself, to be shown to its holder.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_shown() {
        let token = Token::generate(&[0xab; 32]);
        assert_eq!(token.reveal(), format!("ts_{}", "ab".repeat(32)));
        assert_eq!(Token::parse(token.reveal()), Ok(token));
    }

    #[test]
    fn nothing_else_is_a_token() {
        let digits = "ab".repeat(32);
        let texts = [
            String::new(),
            digits.clone(),
            format!("ts_{}", &digits[1..]),
            format!("ts_{digits}0"),
            format!("ts_{}", digits.to_uppercase()),
            format!(" ts_{digits}"),
            format!("TS_{digits}"),
            format!("ts_{}é", &digits[2..]),
        ];
        for text in texts {
            assert_eq!(Token::parse(&text), Err(InvalidToken), "{text}");
        }
    }

    #[test]
    fn the_hash_is_sha3_of_the_text() {
        let token = Token::generate(&[0; 32]);
        let expected: [u8; 32] = Sha3_256::digest(format!("ts_{}", "0".repeat(64))).into();
        assert_eq!(token.hash(), expected);
        assert_ne!(token.hash(), Token::generate(&[1; 32]).hash());
    }

    #[test]
    fn debug_and_errors_show_nothing() {
        let token = Token::generate(&[0xcd; 32]);
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(!InvalidToken.to_string().contains("cd"));
    }
}
