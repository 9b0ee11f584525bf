//! Secrets: named by a variable or a file, never written into a configuration.

use std::{fmt, fs, path::PathBuf};

use super::section::{Placed, Section};

/// A secret's text. It shows nowhere.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn expose(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// In an environment variable.
    Env(String),
    /// On a file's first line.
    File(PathBuf),
}

impl Section<'_> {
    /// Where the secret `key` is: the key itself with `_file` or `_env` behind it.
    pub(crate) fn reference(&mut self, key: &str) -> Option<Placed<Reference>> {
        let (file, env) = (self.path(&format!("{key}_file")), self.text(&format!("{key}_env")));
        match (file, env) {
            (Some(file), None) => Some(Placed { value: Reference::File(file.value), place: file.place }),
            (None, Some(env)) => Some(Placed { value: Reference::Env(env.value), place: env.place }),
            (None, None) => None,
            (Some(_), Some(env)) => {
                self.source.mistakes.add(env.place, format_args!("name {key}_file or {key}_env, not both"));
                None
            }
        }
    }

    /// The secret `key`, read from where it is. Told if it can't be.
    pub(crate) fn secret(&mut self, key: &str) -> Option<Secret> {
        let Placed { value, place } = self.reference(key)?;
        let read = self.read_secret(&value).and_then(|text| {
            if text.is_empty() {
                Err("it is empty: put the secret there".to_owned())
            } else {
                Ok(Secret(text))
            }
        });
        read.map_err(|why| self.source.mistakes.add(place, why)).ok()
    }

    fn read_secret(&self, reference: &Reference) -> Result<String, String> {
        match reference {
            Reference::Env(name) => (self.source.environment)(name)
                .ok_or_else(|| format!("the environment variable {name} is not set: set it to the secret")),
            Reference::File(path) => fs::read_to_string(path)
                .map(|text| text.lines().next().unwrap_or_default().to_owned())
                .map_err(|error| {
                    format!("could not read {}: {error}: make it readable to this process", path.display())
                }),
        }
    }

    /// The whole of a file that is secret, as a service account's key.
    pub(crate) fn secret_document(&mut self, key: &str) -> Option<Secret> {
        let Placed { value, place } = self.path(key)?;
        let read = fs::read_to_string(&value).map(Secret);
        let told = read.map_err(|error| {
            let why =
                format!("could not read {}: {error}: make it readable to this process", value.display());
            self.source.mistakes.add(place, why);
        });
        told.ok()
    }
}
