//! One member's log, as its node keeps it: a leaf for each record accepted, heads signed and cosigned.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test uses its part")]

use bytes::Bytes;
use chorale_protocol::{
    feed::Checked,
    fixture,
    log::{Checkpoint, Origin, Tree, TreeHash, cosign, sign},
};

use crate::world::World;

pub struct Ledger {
    /// Whose log, by number.
    pub who: u64,
    /// The key with which it signs, by number.
    pub key: u64,
    pub tree: Tree,
    /// Notes kept, by size.
    pub notes: Vec<(u64, Bytes)>,
}

impl Ledger {
    pub fn new(who: u64) -> Self {
        Self { who, key: who, tree: Tree::new(), notes: Vec::new() }
    }

    /// The log of everything that was written so far.
    pub fn of(who: u64, world: &World) -> Self {
        let mut ledger = Self::new(who);
        world.records.iter().for_each(|record| ledger.accept(record));
        ledger
    }

    pub fn accept(&mut self, record: &Checked) {
        self.tree.push(TreeHash::leaf(record.bytes()));
    }

    /// A note of this head, cosigned by these members at these times.
    pub fn note_of(&self, world: &World, size: u64, root: TreeHash, cosigners: &[(u64, u64)]) -> Bytes {
        let network = world.chain.network();
        let origin = |who: u64| Origin::new(&network, &fixture::member(who).id);
        let head = Checkpoint { origin: origin(self.who), size, root };
        let mut note = sign(&head, &fixture::author(self.key));
        for (who, time) in cosigners {
            note.add(cosign(&head, &origin(*who), &fixture::author(*who), *time)).unwrap();
        }
        note.to_bytes().into()
    }

    /// Signs the newest head, lets these members cosign it, and keeps the note.
    pub fn publish(&mut self, world: &World, cosigners: &[(u64, u64)]) -> Bytes {
        let size = self.tree.len();
        let note = self.note_of(world, size, self.tree.root(size).unwrap(), cosigners);
        self.notes.push((size, note.clone()));
        note
    }

    /// Lays the log into the archive: the last note kept is the newest.
    pub fn put(&self, world: &mut World) {
        let (size, newest) = self.notes.last().unwrap().clone();
        world.builder.log(fixture::member(self.who).id, &newest, size, &self.notes, Some(&self.tree));
    }

    /// A file of this log.
    pub fn file(&self, name: &str) -> String {
        format!("logs/{}/{name}", fixture::member(self.who).id)
    }
}
