//! Bearer tokens: known by their hashes alone.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::Identity;

/// The SHA-256 of a token. Tokens are random and long, so that a plain hash can't be reversed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

/// The text is no hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is configured by its SHA-256, 64 hexadecimal digits: never by itself")]
pub struct TokenHashError;

impl TokenHash {
    /// The hash of `token`.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether it is that of `token`. Takes as long whether or not it is.
    pub(crate) fn is_of(&self, token: &str) -> bool {
        self.0.ct_eq(&Self::of(token).0).into()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

impl FromStr for TokenHash {
    type Err = TokenHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TokenHashError);
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or(TokenHashError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| TokenHashError)?;
        }
        Ok(Self(bytes))
    }
}

/// A token that someone has, and who they are.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its hash.
    pub hash: TokenHash,
    /// Who has it.
    pub identity: Identity,
}

/// Every token that is known.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Token>);

impl Tokens {
    /// Whoever has `token`. Takes as long whether or not, and whichever, it is.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<&Identity> {
        let given = TokenHash::of(token);
        let mut found = u64::MAX;
        for (index, known) in (0u64..).zip(&self.0) {
            let same: Choice = known.hash.0.ct_eq(&given.0);
            found.conditional_assign(&index, same);
        }
        self.0.get(usize::try_from(found).ok()?).map(|token| &token.identity)
    }
}

impl FromIterator<Token> for Tokens {
    fn from_iter<I: IntoIterator<Item = Token>>(tokens: I) -> Self {
        Self(tokens.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    fn token(text: &str, role: Role) -> Token {
        let (tenant, principal) = ("default".parse().unwrap(), text.parse().unwrap());
        Token { hash: TokenHash::of(text), identity: Identity { tenant, principal, role } }
    }

    #[test]
    fn a_token_is_found_by_its_hash_and_no_other() {
        let tokens: Tokens = [token("one", Role::Viewer), token("two", Role::Admin)].into_iter().collect();
        assert_eq!(tokens.find("two").unwrap().role, Role::Admin);
        assert_eq!(tokens.find("one").unwrap().role, Role::Viewer);
        assert_eq!(tokens.find("three"), None);
        assert_eq!(Tokens::default().find("one"), None);
    }

    #[test]
    fn a_hash_reads_back_as_written_and_nothing_else_is_one() {
        let hash = TokenHash::of("secret");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "secret", &"g".repeat(64), &"ä".repeat(32)] {
            assert_eq!(bad.parse::<TokenHash>(), Err(TokenHashError), "{bad}");
        }
    }

    #[test]
    fn neither_a_token_nor_its_hash_is_printed() {
        let printed = format!("{:?}", token("one", Role::Viewer));
        assert!(!printed.contains(&TokenHash::of("one").to_string()), "{printed}");
    }
}
