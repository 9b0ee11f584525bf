//! A new access token: shown once, and kept by nobody but its holder.

use aegis::{http::TokenHash, model::Principal};

use crate::{
    house::random_text,
    problem::{Problem, Result},
};

/// What `server token new NAME` prints.
///
/// # Errors
/// The name can't be one, or the system has no randomness.
pub(crate) fn describe_new(name: &str) -> Result<String> {
    let name: Principal = name.parse()?;
    let random = random_text().map_err(|error| Problem::new(format!("could not make a token: {error}")))?;
    let token = format!("aegis_{random}");
    let hash = TokenHash::of(&token);
    Ok(format!(
        "\
# The token of {name}. It is shown only now: give it to its holder, who sends it as
#   Authorization: Bearer {token}

# These lines make it known; the configuration needs no more than the hash.
[[auth.tokens]]
name = \"{name}\"
sha256 = \"{hash}\"
tenant = \"default\"
roles = [\"operator\"] # viewer, operator, approver or admin
"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_comes_with_its_own_hash_and_each_is_another() {
        let text = describe_new("ops").unwrap();
        let token = text.lines().find_map(|line| line.split_once("Bearer ")).unwrap().1;
        assert!(text.contains(&format!("sha256 = \"{}\"", TokenHash::of(token))), "{text}");
        assert_ne!(text, describe_new("ops").unwrap());
    }

    #[test]
    fn a_name_that_can_be_none_is_refused() {
        assert!(describe_new("two\nlines").is_err());
    }
}
