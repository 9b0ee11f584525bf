//! How often each of many things is there.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, sync::Arc};

/// How often each thing was put in and not taken out; what is not there any more is forgotten.
#[derive(Clone, Debug)]
pub(super) struct Bag<T>(HashMap<T, usize>);

impl<T: Eq + Hash> Bag<T> {
    pub(super) fn put(&mut self, thing: T) {
        *self.0.entry(thing).or_default() += 1;
    }

    /// Takes out one of those like `thing`, if there is one.
    pub(super) fn take<Q: Eq + Hash + ?Sized>(&mut self, thing: &Q)
    where
        T: Borrow<Q>,
    {
        match self.0.get_mut(thing) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(self.0.remove(thing)),
            None => {}
        }
    }

    /// The things that are there, each once, in no order.
    pub(super) fn things(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }
}

impl<T: Clone + Eq + Hash> Bag<Arc<[T]>> {
    /// Puts in a list, as the one that all that are like it share.
    pub(super) fn share(&mut self, list: &[T]) -> Arc<[T]> {
        let shared = self.0.get_key_value(list).map(|(shared, _)| Arc::clone(shared));
        let shared = shared.unwrap_or_else(|| list.into());
        self.put(Arc::clone(&shared));
        shared
    }
}

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}
