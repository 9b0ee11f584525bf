//! What the command line asks for.

use std::{ffi::OsString, path::PathBuf};

pub(crate) const USAGE: &str = "\
usage: server [OPTION…]
       server token new NAME

  --config FILE         the configuration, in TOML (or AEGIS_CONFIG)
  --listen ADDRESS      where the API is served; 127.0.0.1:8082 unless said
  --data-dir DIR        where everything goes that the server makes; ./aegis-data unless said
  --store URL           memory:, sqlite://FILE or postgres://USER@HOST/DATABASE;
                        the file aegis.db in the data directory unless said
  --protect NAME=PATH   protects PATH as the namespace NAME of the cluster `local`; repeatable
  --restore-root PATH   lets the cluster `local` restore below PATH; repeatable.
                        The folder restores in the data directory always is one

  token new NAME        makes an access token, and prints it with the lines of configuration
                        that make it known";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Serve(Flags),
    NewToken(String),
    Help,
}

/// The flags of a server, as they were given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) listen: Option<String>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) store: Option<String>,
    pub(crate) protect: Vec<(String, PathBuf)>,
    pub(crate) restore_roots: Vec<PathBuf>,
}

pub(crate) fn parse(given: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut given = given.into_iter().peekable();
    if given.next_if(|word| word == "token").is_some() {
        return token(given);
    }
    let mut flags = Flags::default();
    while let Some(word) = given.next() {
        let word = word.into_string().map_err(|word| format!("{} is not UTF-8", word.display()))?;
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (&*word, None),
        };
        if matches!(name, "--help" | "-h") {
            return Ok(Asked::Help);
        }
        let mut value = || {
            let value = inline.clone().or_else(|| given.next());
            value.filter(|value| !value.is_empty()).ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "--config" => once(name, &mut flags.config, value()?.into())?,
            "--data-dir" => once(name, &mut flags.data_dir, value()?.into())?,
            "--listen" => once(name, &mut flags.listen, text(name, value()?)?)?,
            "--store" => once(name, &mut flags.store, text(name, value()?)?)?,
            "--protect" => flags.protect.push(protected(&text(name, value()?)?)?),
            "--restore-root" => flags.restore_roots.push(value()?.into()),
            _ if name.starts_with('-') => return Err(format!("there is no option {name}")),
            _ => return Err(format!("{word} is one word too many")),
        }
    }
    Ok(Asked::Serve(flags))
}

fn token(mut given: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let words = [given.next(), given.next(), given.next()].map(|word| word.map(OsString::into_string));
    match words {
        [Some(Ok(new)), Some(Ok(name)), None] if new == "new" => Ok(Asked::NewToken(name)),
        _ => Err("write: server token new NAME".to_owned()),
    }
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is given twice")),
    }
}

fn text(name: &str, value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("{name} {} is not UTF-8", value.display()))
}

fn protected(value: &str) -> Result<(String, PathBuf), String> {
    match value.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err(format!("--protect {value}: write --protect NAME=PATH")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(words: &[&str]) -> Result<Asked, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn flags_take_their_values_with_a_space_or_an_equals_sign() {
        let spaced = ask(&[
            "--listen",
            "[::1]:1",
            "--protect",
            "a=/srv/a=b",
            "--protect=c=/c",
            "--restore-root",
            "/r",
        ]);
        let Ok(Asked::Serve(flags)) = spaced else { panic!("{spaced:?}") };
        assert_eq!(flags.listen.as_deref(), Some("[::1]:1"));
        assert_eq!(flags.protect, [("a".into(), "/srv/a=b".into()), ("c".into(), "/c".into())]);
        assert_eq!(flags.restore_roots, [PathBuf::from("/r")]);
        assert_eq!(ask(&["--store=memory:"]), ask(&["--store", "memory:"]));
    }

    #[test]
    fn without_arguments_it_serves() {
        assert_eq!(ask(&[]), Ok(Asked::Serve(Flags::default())));
    }

    #[test]
    fn a_token_needs_a_name() {
        assert_eq!(ask(&["token", "new", "ops"]), Ok(Asked::NewToken("ops".into())));
        for words in
            [&["token"][..], &["token", "new"], &["token", "old", "ops"], &["token", "new", "a", "b"]]
        {
            assert!(ask(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn what_is_no_option_or_lacks_its_value_is_refused_by_name() {
        for (words, names) in [
            (&["--listn", "x"][..], "--listn"),
            (&["serve"], "serve"),
            (&["--listen"], "--listen needs a value"),
            (&["--store="], "--store needs a value"),
            (&["--listen=a", "--listen=b"], "--listen is given twice"),
            (&["--protect", "documents"], "NAME=PATH"),
            (&["--protect", "=/srv"], "NAME=PATH"),
        ] {
            let refused = ask(words).unwrap_err();
            assert!(refused.contains(names), "{words:?}: {refused}");
        }
    }
}
