//! Tokens as users see them: what lets a node join a pool, or a user in.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};

use crate::tls::{Fingerprint, hex};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A node joins with it.
    Join,
    /// A user calls the API with it.
    Api,
}

/// A token.
///
/// Shape: `weir-join.ID.SECRET.FINGERPRINT` or `weir-api.…`, all in lower-case hexadecimal digits. The fingerprint is that of
/// the controller's authority, so that whoever has the token knows the controller before it has any certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is for.
    pub kind: Kind,
    /// What it is called in lists; no secret.
    pub id: String,
    secret: String,
    /// Whose certificate the controller must show.
    pub authority: Fingerprint,
}

/// A text that is no token. It is not shown: it may be one, mistyped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is no token: it should look like weir-join.ID.SECRET.FINGERPRINT or weir-api.ID.SECRET.FINGERPRINT"
)]
pub struct NoToken;

impl Token {
    /// A new one, made of random numbers.
    ///
    /// # Errors
    /// The system has none.
    pub fn generate(kind: Kind, authority: Fingerprint) -> Result<Self, Unspecified> {
        let mut random = [0; ID + SECRET];
        SystemRandom::new().fill(&mut random)?;
        let (id, secret) = random.split_at(ID);
        Ok(Self { kind, id: hex(id), secret: hex(secret), authority })
    }

    /// What is stored of the secret. It has 128 random bits, so that a fast hash will do.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.secret.as_bytes()).as_ref());
        hash
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Join => JOIN,
            Kind::Api => API,
        };
        write!(f, "{kind}.{}.{}.{}", self.id, self.secret, self.authority)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("kind", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let [kind, id, secret, authority] = parts[..] else { return Err(NoToken) };
        let kind = match kind {
            JOIN => Kind::Join,
            API => Kind::Api,
            _ => return Err(NoToken),
        };
        let is_hex = |text: &str, n: usize| {
            text.len() == 2 * n && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !is_hex(id, ID) || !is_hex(secret, SECRET) {
            return Err(NoToken);
        }
        let authority = authority.parse().map_err(|_| NoToken)?;
        Ok(Self { kind, id: id.to_owned(), secret: secret.to_owned(), authority })
    }
}

const JOIN: &str = "weir-join";
const API: &str = "weir-api";
/// Random bytes of the id.
const ID: usize = 5;
/// Random bytes of the secret.
const SECRET: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_never_shown_by_accident() {
        let token = Token::generate(Kind::Join, Fingerprint([7; 32])).unwrap();
        let text = token.to_string();
        assert_eq!(text.parse(), Ok(token.clone()));
        assert_eq!(format!(" {text}\n").parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&token.secret));
        let other = Token::generate(Kind::Join, Fingerprint([7; 32])).unwrap();
        assert_ne!(token.hash(), other.hash());
    }

    #[test]
    fn what_is_cut_off_or_of_another_kind_is_no_token() {
        let text = Token::generate(Kind::Api, Fingerprint([7; 32])).unwrap().to_string();
        for end in 0..text.len() {
            assert_eq!(text[..end].parse::<Token>(), Err(NoToken), "{end}");
        }
        let wrong =
            [text.replace("weir-api", "weir"), text.to_uppercase(), format!("{text}.a"), format!("{text}a")];
        for wrong in wrong {
            assert_eq!(wrong.parse::<Token>(), Err(NoToken), "{wrong}");
        }
    }
}
