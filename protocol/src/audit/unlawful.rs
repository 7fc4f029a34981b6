//! Records that do not count and break a rule themselves: who builds on one has built on nothing.

use std::{collections::BTreeSet, io};

use super::{
    layout::Name,
    light::{Index, Light, Stand},
    rules::Rules,
    source::Source,
    window::Window,
};
use crate::{
    admit::{self, Parent},
    base::RecordId,
    feed::{Kind, Record, read_again},
};

/// The loose and void records that break a rule of a feed or one between records.
pub(super) fn unlawful(source: &Source<'_>, rules: &Rules, index: &Index) -> io::Result<BTreeSet<RecordId>> {
    let mut aside: Vec<Light> = index.all().filter(|light| light.stand != Stand::Linked).collect();
    // What a record builds on has a smaller clock, or the record breaks a rule.
    aside.sort_by_key(|light| (light.clock, light.id));
    let mut judge = Judge { source, rules, index, window: None, unlawful: BTreeSet::new() };
    for light in &aside {
        if !judge.keeps_rules(light)? {
            judge.unlawful.insert(light.id);
        }
    }
    Ok(judge.unlawful)
}

struct Judge<'a> {
    source: &'a Source<'a>,
    rules: &'a Rules,
    index: &'a Index,
    window: Option<Window>,
    unlawful: BTreeSet<RecordId>,
}

impl Judge<'_> {
    fn keeps_rules(&mut self, light: &Light) -> io::Result<bool> {
        let record = self.read(light)?;
        let Some((manifest, _)) = self.rules.at(record.manifest_version) else { return Ok(true) };
        let before = record.prev.and_then(|id| self.index.by_id(&id));
        if let Some(before) = &before {
            let right = if record.seq.0 == 0 {
                admit::check_opening(record.member, record.incarnation, &before.parent()).is_ok()
            } else {
                self.follows(&record, before)?
            };
            if !right {
                return Ok(false);
            }
        }
        let known = |light: &Light| !self.unlawful.contains(&light.id);
        let prev = before.filter(known).map(|before| before.parent());
        let parent = |id: &RecordId| self.index.by_id(id).filter(known).map(|parent| parent.parent());
        let parents: Vec<Option<Parent>> = record.parent_ids().map(|id| parent(&id)).collect();
        let named = admit::check_named(&record, manifest, parent);
        let length = self.rules.payload_bytes();
        Ok(named.and_then(|()| admit::check(&record, prev, &parents, (&manifest.policy, length), None)).is_ok())
    }

    /// The rules between a record and the one that it names as the one before it.
    fn follows(&mut self, record: &Record, before: &Light) -> io::Result<bool> {
        let place = (before.member, before.incarnation, before.seq.next());
        let right = place == (record.member, record.incarnation, record.seq)
            && before.kind != Kind::Close
            && !self.unlawful.contains(&before.id);
        Ok(right && self.read(before)?.manifest_version <= record.manifest_version)
    }

    fn read(&mut self, light: &Light) -> io::Result<Record> {
        let name = Name::Feed(light.member, light.incarnation);
        let window = match &mut self.window {
            Some(window) if window.name() == name => window,
            window => window.insert(Window::new(name)),
        };
        let envelope = window.envelope(self.source, light.offset, light.length)?;
        let record = read_again(&envelope, light.id, self.rules.chain());
        record.ok_or_else(|| io::Error::other(format!("{name} changed while it was audited")))
    }
}
