//! What a test looks at and does by itself, beside the members that run.

use chorale_protocol::{
    base::{MemberId, RecordId},
    engine::Input,
    feed::Checked,
};

use super::world::World;

impl World {
    /// A record that a node keeps.
    #[must_use]
    pub fn record(&self, node: usize, id: &RecordId) -> Option<Checked> {
        let one = &self.nodes[node];
        one.disk.record(id, one.engine.as_ref()?.chain())
    }

    /// How many records of a member count for a node.
    #[must_use]
    pub fn held(&self, node: usize, member: &MemberId) -> u64 {
        let have = self.nodes[node].engine.as_ref().map(|engine| engine.have()).unwrap_or_default();
        have.iter().filter(|have| have.member == *member).map(|have| have.next.0).sum()
    }

    /// A record of a member that does not run reaches a node, which passes it on if it accepts it.
    pub fn hand(&mut self, node: usize, record: &Checked) {
        let from = self.transport(node);
        self.inject(node, Input::Record { bytes: record.bytes().clone(), from, ticket: None });
        let bytes = record.bytes().clone();
        self.announce(node, &bytes);
    }
}
