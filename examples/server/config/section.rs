//! Reading a configuration key by key, so that whatever is wrong with one is told with its place,
//! and every mistake at once.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Environment variables, as they are looked up.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is wrong with a configuration, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(RefCell<Vec<String>>);

impl Mistakes {
    /// At `place`, this is wrong. `what` says how to mend it.
    pub(crate) fn add(&self, place: impl fmt::Display, what: impl fmt::Display) {
        self.0.borrow_mut().push(format!("{place}: {what}"));
    }

    pub(crate) fn into_texts(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// A configuration file, and the environment that overrides it.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a Path,
    pub(crate) text: &'a str,
    pub(crate) environment: Environment<'a>,
    pub(crate) mistakes: &'a Mistakes,
    /// Every key that was asked for, as the documentation writes them.
    pub(crate) asked: RefCell<BTreeSet<String>>,
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Source<'_> {
    /// Where `offset` is in the file, as `FILE:LINE`.
    pub(crate) fn place(&self, offset: usize) -> String {
        let line = 1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        format!("{}:{line}", self.file.display())
    }

    /// A path of the file is relative to it.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let path = self.file.parent().unwrap_or_else(|| Path::new("")).join(path);
        // It fails for nothing but an empty path, or where there is no working directory.
        std::path::absolute(&path).unwrap_or(path)
    }
}

/// A table of the configuration, read key by key.
#[derive(Debug)]
#[must_use = "finish it, so that unknown keys are refused"]
pub(crate) struct Section<'a> {
    pub(crate) source: &'a Source<'a>,
    /// As `storage.primary`; empty at the top.
    path: String,
    /// As `storage.NAME`.
    documented: String,
    offset: usize,
    table: Option<&'a DeTable<'a>>,
    known: BTreeSet<String>,
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) place: String,
}

impl<'a> Section<'a> {
    pub(crate) fn top(source: &'a Source<'a>, table: &'a DeTable<'a>) -> Self {
        let (path, documented) = (String::new(), String::new());
        Self { source, path, documented, offset: 0, table: Some(table), known: BTreeSet::new() }
    }

    /// Where the section stands, for what it lacks.
    pub(crate) fn place(&self) -> String {
        format!("{}: [{}]", self.source.place(self.offset), self.path)
    }

    /// Whether the file has it.
    pub(crate) const fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Something that the section lacks, or has too much of.
    pub(crate) fn mistake(&self, what: impl fmt::Display) {
        self.source.mistakes.add(self.place(), what);
    }

    /// A text, or what the environment says instead.
    pub(crate) fn text(&mut self, key: &str) -> Option<Placed<String>> {
        if let Some(overridden) = self.overridden(key) {
            return Some(overridden);
        }
        let (value, place) = self.entry(key)?;
        let DeValue::String(text) = value.get_ref() else {
            return self.mistyped(&place, value, "a text in quotes");
        };
        Some(Placed { value: text.to_string(), place })
    }

    /// A text that means something.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<Placed<T>> {
        let Placed { value, place } = self.text(key)?;
        let parsed = value.parse().map_err(|error| self.source.mistakes.add(&place, error));
        parsed.ok().map(|value| Placed { value, place })
    }

    /// A text that means something and must be there; `example` says what to write.
    pub(crate) fn required<T: FromStr<Err: fmt::Display>>(
        &mut self,
        key: &str,
        example: &str,
    ) -> Option<Placed<T>> {
        let found = self.parsed(key);
        if found.is_none() && !self.has(key) {
            self.mistake(format_args!("{key} is missing: write {key} = {example}"));
        }
        found
    }

    /// One of several words.
    pub(crate) fn one_of<const N: usize>(
        &mut self,
        key: &str,
        words: [&'static str; N],
    ) -> Option<&'static str> {
        let Placed { value, place } = self.text(key)?;
        let word = words.into_iter().find(|word| *word == value);
        if word.is_none() {
            self.source.mistakes.add(place, format_args!("`{value}` is none of {}", words.join(", ")));
        }
        word
    }

    /// Whether the key is there, right or wrong.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
            || (self.source.environment)(&variable(&join(&self.path, key))).is_some()
    }

    /// A path, relative to the file; from the environment, to the working directory.
    pub(crate) fn path(&mut self, key: &str) -> Option<Placed<PathBuf>> {
        let of_environment = self.overridden(key).is_some();
        let Placed { value, place } = self.text(key)?;
        if value.is_empty() {
            self.source.mistakes.add(place, "a path can't be empty");
            return None;
        }
        let value = if of_environment { value.into() } else { self.source.resolve(&value) };
        Some(Placed { value, place })
    }

    /// Paths, relative to the file.
    pub(crate) fn paths(&mut self, key: &str) -> Vec<PathBuf> {
        self.list(key).into_iter().flatten().map(|path| self.source.resolve(&path.value)).collect()
    }

    /// A positive number.
    pub(crate) fn number(&mut self, key: &str) -> Option<Placed<u32>> {
        let positive = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        if let Some(Placed { value, place }) = self.overridden(key) {
            let number = positive(&value);
            if number.is_none() {
                self.source.mistakes.add(&place, "write a whole number from 1");
            }
            return number.map(|value| Placed { value, place });
        }
        let (value, place) = self.entry(key)?;
        let number = value.get_ref().as_integer().and_then(|number| positive(number.as_str()));
        match number {
            Some(value) => Some(Placed { value, place }),
            None => self.mistyped(&place, value, "a whole number from 1"),
        }
    }

    /// Yes or no.
    pub(crate) fn switch(&mut self, key: &str) -> Option<bool> {
        if let Some(Placed { value, place }) = self.overridden(key) {
            let said = value.parse().ok();
            if said.is_none() {
                self.source.mistakes.add(place, "write true or false");
            }
            return said;
        }
        let (value, place) = self.entry(key)?;
        value.get_ref().as_bool().or_else(|| self.mistyped(&place, value, "true or false"))
    }

    /// Several texts.
    pub(crate) fn list(&mut self, key: &str) -> Option<Vec<Placed<String>>> {
        let (value, place) = self.entry(key)?;
        self.texts(value, &place)
    }

    /// Several texts that mean something. The wrong ones are told and left out.
    pub(crate) fn parsed_list<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        let items = self.list(key)?;
        let parsed = items.into_iter().filter_map(|item| {
            let parsed = item.value.parse();
            parsed.map_err(|error: T::Err| self.source.mistakes.add(&item.place, error)).ok()
        });
        Some(parsed.collect())
    }

    /// The section `key` of this one, there or not.
    pub(crate) fn section(&mut self, key: &str) -> Self {
        let found = self.entry_as(key).and_then(|(value, place)| match value.get_ref() {
            DeValue::Table(table) => Some((table, value.span().start)),
            _ => self.mistyped(&place, value, &format!("a section: [{}]", join(&self.path, key))),
        });
        self.below(key, key, found)
    }

    /// The named sections below the section `key`, as `[clusters.NAME]`.
    pub(crate) fn named(&mut self, key: &str) -> Vec<(Placed<String>, Self)> {
        let all = self.section(key);
        let entries = all.table.into_iter().flatten();
        let named = entries.filter_map(|(name, value)| {
            let (path, place) = (join(&all.path, name.get_ref()), self.source.place(name.span().start));
            let DeValue::Table(table) = value.get_ref() else {
                return self.mistyped(&format!("{place}: {path}"), value, &format!("a section: [{path}]"));
            };
            let below = all.below(name.get_ref(), "NAME", Some((table, name.span().start)));
            let name = Placed { value: name.get_ref().to_string(), place: format!("{place}: [{path}]") };
            Some((name, below))
        });
        named.collect()
    }

    /// The sections of a list, as `[[auth.tokens]]`.
    pub(crate) fn repeated(&mut self, key: &str) -> Vec<Self> {
        let Some((value, place)) = self.entry_as(key) else { return Vec::new() };
        let tables = value.get_ref().as_array().and_then(|items| {
            let tables =
                items.iter().map(|item| item.get_ref().as_table().map(|table| (table, item.span().start)));
            tables.collect::<Option<Vec<_>>>()
        });
        let wanted = format!("sections: [[{}]]", join(&self.path, key));
        let tables = tables.or_else(|| self.mistyped(&place, value, &wanted)).unwrap_or_default();
        tables.into_iter().map(|table| self.below(key, key, Some(table))).collect()
    }

    /// Every key of a section that may have any, each with its texts, as namespaces.
    pub(crate) fn lists(&mut self) -> Vec<(Placed<String>, Vec<Placed<String>>)> {
        self.source.asked.borrow_mut().insert(join(&self.documented, "NAME"));
        let names: Vec<_> = self.table.into_iter().flatten().map(|(name, _)| &**name.get_ref()).collect();
        let lists = names.into_iter().filter_map(|name| {
            let (value, place) = self.entry_as(name)?;
            let texts = self.texts(value, &place)?;
            Some((Placed { value: name.to_owned(), place }, texts))
        });
        lists.collect()
    }

    /// Refuses every key that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, _) in self.table.into_iter().flatten() {
            if !self.known.contains(&**key.get_ref()) {
                let known: Vec<_> = self.known.iter().map(String::as_str).collect();
                let place =
                    format!("{}: {}", self.source.place(key.span().start), join(&self.path, key.get_ref()));
                self.source
                    .mistakes
                    .add(place, format_args!("there is no such key: use one of {}", known.join(", ")));
            }
        }
    }

    fn below(&self, key: &str, documented: &str, found: Option<(&'a DeTable<'a>, usize)>) -> Self {
        Self {
            source: self.source,
            path: join(&self.path, key),
            documented: join(&self.documented, documented),
            offset: found.map_or(self.offset, |(_, offset)| offset),
            table: found.map(|(table, _)| table),
            known: BTreeSet::new(),
        }
    }

    fn entry(&mut self, key: &str) -> Option<(&'a Spanned<DeValue<'a>>, String)> {
        self.source.asked.borrow_mut().insert(join(&self.documented, key));
        self.entry_as(key)
    }

    fn entry_as(&mut self, key: &str) -> Option<(&'a Spanned<DeValue<'a>>, String)> {
        self.known.insert(key.to_owned());
        let (name, value) = self.table?.get_key_value(key)?;
        Some((value, format!("{}: {}", self.source.place(name.span().start), join(&self.path, key))))
    }

    /// What the environment says instead of the file: `AEGIS_STORAGE_PRIMARY_ENDPOINT` for the key
    /// `storage.primary.endpoint`.
    fn overridden(&mut self, key: &str) -> Option<Placed<String>> {
        self.source.asked.borrow_mut().insert(join(&self.documented, key));
        self.known.insert(key.to_owned());
        let name = variable(&join(&self.path, key));
        (self.source.environment)(&name).map(|value| Placed { value, place: name })
    }

    fn texts(&self, value: &Spanned<DeValue<'_>>, place: &str) -> Option<Vec<Placed<String>>> {
        let placed = |item: &Spanned<DeValue<'_>>| {
            let value = item.get_ref().as_str()?.to_owned();
            Some(Placed { value, place: place.to_owned() })
        };
        let texts = value.get_ref().as_array().and_then(|items| items.iter().map(placed).collect());
        texts.or_else(|| self.mistyped(place, value, "texts in brackets, as [\"one\", \"two\"]"))
    }

    fn mistyped<T>(&self, place: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        let found = value.get_ref().type_str();
        self.source.mistakes.add(place, format_args!("write {wanted}, not {found}"));
        None
    }
}

/// The environment variable that overrides a key.
pub(crate) fn variable(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("AEGIS_{}", key.chars().map(plain).collect::<String>())
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
