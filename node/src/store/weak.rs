//! A way to the store that does not keep its lock.

use std::sync::{Arc, Weak};

use super::{Inner, Store};

/// A way to the store that does not keep its lock: for work that may outlast the node.
#[derive(Debug, Clone)]
pub struct WeakStore {
    inner: Weak<Inner>,
}

impl WeakStore {
    /// The store, unless it was closed meanwhile.
    #[must_use]
    pub fn upgrade(&self) -> Option<Store> {
        self.inner.upgrade().map(|inner| Store { inner })
    }
}

impl Store {
    /// A way to this store that does not keep its lock.
    #[must_use]
    pub fn downgrade(&self) -> WeakStore {
        WeakStore { inner: Arc::downgrade(&self.inner) }
    }
}
