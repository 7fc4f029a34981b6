//! The adapter that a home holds: its own newest publication, or the mean of everybody's.

use anyhow::{Context as _, Result, bail};
use chorale::{config::Home, store::Store};
use chorale_protocol::{
    adapter::{Layout, Payload, f32_view},
    base::{MemberId, Round},
    feed::{Body, Spec, check_stored},
    manifest::{AdapterSpec, Chain},
    merge::{self, Voice},
};
use std::collections::BTreeMap;

use super::network;

/// Which adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    /// This member's newest publication
    Own,
    /// The mean of all members' newest publications that this home holds
    Merged,
    /// None: the base model
    Base,
}

/// An adapter and where it comes from.
pub(crate) struct Held {
    pub(crate) spec: AdapterSpec,
    /// Layout order; `None` is the base model.
    pub(crate) values: Option<Vec<f32>>,
    /// The largest round in it.
    pub(crate) round: Round,
}

/// Reads it. The home's node must not run.
pub(crate) fn held(home: &Home, which: Which) -> Result<Held> {
    let chain = network::stored_chain(home)?;
    let policy = &chain.current().policy;
    let spec = policy.adapter.clone();
    if which == Which::Base {
        return Ok(Held { spec, values: None, round: Round(0) });
    }
    let store = Store::open(home.root()).context("the store; a running node holds it: stop it first")?;
    let layout = Layout::new(&spec)?;
    let newest = newest(&store, &chain)?;
    let read = |member: &MemberId, (round, record, body): &(Round, _, Body)| -> Result<Voice> {
        let bytes = store.read_blob(body)?;
        let payload = Payload::check(&layout, policy.codec, bytes)?;
        Ok(Voice { member: *member, record: *record, round: *round, payload })
    };
    let me = network::own_id(home, &chain)?;
    if which == Which::Own {
        let Some(own) = newest.get(&me) else { bail!("this member has published nothing yet: chorale run") };
        let voice = read(&me, own)?;
        return Ok(Held { spec, values: Some(voice.payload.to_f32(&layout)), round: voice.round });
    }
    let last = newest.values().map(|(round, ..)| *round).max().context("nobody has published anything yet")?;
    let window = policy.ages.len() as u64;
    let voices: Vec<Voice> = newest
        .iter()
        .filter(|(_, (round, _, body))| round.0 + window > last.0 && store.blob_file(&body.hash).is_some())
        .map(|(member, held)| read(member, held))
        .collect::<Result<_>>()?;
    let plan = merge::Plan {
        network: chain.network(),
        policy,
        layout: &layout,
        own: None,
        others: &voices,
        state: None,
        spare: Vec::new(),
        threads: 1,
    };
    let merged = merge::perform(plan)?;
    Ok(Held { spec, values: Some(f32_view(&merged.values)), round: last })
}

type Newest = BTreeMap<MemberId, (Round, chorale_protocol::base::RecordId, Body)>;

/// Every member's newest update.
fn newest(store: &Store, chain: &Chain) -> Result<Newest> {
    let mut all = Newest::new();
    for bytes in store.records()? {
        let Ok(checked) = check_stored(bytes, chain) else { continue };
        let record = checked.record();
        let (Spec::Update(update), Some(body)) = (&record.spec, record.body) else { continue };
        let held = all.entry(record.member).or_insert_with(|| (update.round, checked.id(), body));
        if held.0 < update.round {
            *held = (update.round, checked.id(), body);
        }
    }
    Ok(all)
}
