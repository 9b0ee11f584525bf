//! The repository's password: where it comes from, and that it never shows.

use std::{env, fs, path::PathBuf};

use aegis_core::seams::DriverError;
use secrecy::SecretString;

/// Where a repository's password comes from. It is read anew at each opening, so that a rotated
/// file is seen, and shows in no message, log or `Debug`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PasswordSource {
    /// An environment variable's value.
    Env(String),
    /// A file's first line.
    File(PathBuf),
    /// The password itself.
    Given(SecretString),
}

impl PasswordSource {
    /// Reads the password.
    ///
    /// # Errors
    /// `InvalidInput` if the variable or file is missing, unreadable or empty, with the mend.
    pub(crate) fn read(&self) -> Result<SecretString, DriverError> {
        match self {
            Self::Env(name) => {
                let text = env::var(name).map_err(|cause| {
                    missing(format!(
                        "the environment variable `{name}` with the repository's password is not set"
                    ))
                    .with_suggestion(format!("set `{name}`, or name a password file"))
                    .with_source(cause)
                })?;
                sound(text, &format!("the environment variable `{name}`"))
            }
            Self::File(path) => {
                let text = fs::read_to_string(path).map_err(|cause| {
                    missing(format!("could not read the repository's password from {}", path.display()))
                        .with_suggestion(
                            "make the file readable to this process, with the password on its first line",
                        )
                        .with_source(cause)
                })?;
                let line = text.lines().next().unwrap_or_default().to_owned();
                sound(line, &path.display().to_string())
            }
            Self::Given(secret) => Ok(secret.clone()),
        }
    }
}

fn missing(message: String) -> DriverError {
    DriverError::invalid_input(message)
}

fn sound(text: String, place: &str) -> Result<SecretString, DriverError> {
    if text.is_empty() {
        let error = missing(format!("the repository's password in {place} is empty"));
        return Err(error.with_suggestion("put a password there; without it the data can't be read back"));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use aegis_core::seams::ErrorClass;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_first_line_of_the_file_is_the_password() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "opensesame\nnot this\n").unwrap();
        let secret = PasswordSource::File(file.path().to_owned()).read().unwrap();
        assert_eq!(secret.expose_secret(), "opensesame");
    }

    #[test]
    fn an_empty_or_missing_password_is_refused_with_the_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for source in [
            PasswordSource::File(file.path().to_owned()),
            PasswordSource::File("/nonexistent/key".into()),
            PasswordSource::Env("AEGIS_TEST_NO_SUCH_VARIABLE".into()),
        ] {
            let error = source.read().unwrap_err();
            assert_eq!(error.class(), ErrorClass::InvalidInput);
            assert!(error.detail().suggestion.is_some());
        }
    }

    #[test]
    fn the_password_does_not_show_in_debug() {
        let source = PasswordSource::Given(SecretString::from("hunter2".to_owned()));
        assert!(!format!("{source:?}").contains("hunter2"));
    }
}
