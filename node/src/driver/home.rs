//! What a home gives at the start: the manifest chain and what the engine goes on from.

use std::sync::Arc;

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, start_hash},
    base::{BlobHash, Incarnation, MemberId, Seq, TransportId},
    code::AuthorKey,
    engine::Stored,
    feed::{Checked, Head, Privacy, Spec, check_stored},
    manifest::{AdapterSpec, Chain, Manifest, Member, Policy, Role},
};

use super::{DriverError, fetch::Shape};
use crate::{
    store::{Entry, Store, ledger::Left},
    train::{Trainer, possible},
};

/// The stored manifest chain, which starts from `genesis`.
pub(super) fn chain(store: &Store, genesis: Bytes) -> Result<Chain, DriverError> {
    let mut chain = Chain::genesis(genesis.clone())?;
    store.bind(&genesis, chain.network())?;
    for bytes in store.manifests()?.into_iter().skip(1) {
        chain.extend(bytes)?;
    }
    Ok(chain)
}

/// The member that signs with one of these keys, if the newest manifest has one.
pub(super) fn member(chain: &Chain, keys: &[AuthorKey]) -> Option<MemberId> {
    let ours = |member: &&Member| keys.iter().any(|key| key.public() == member.author_key);
    let mut members = chain.current().members.iter().filter(|member| member.role == Role::Member);
    members.find(ours).map(|member| member.id)
}

/// Every transport key of every participant.
pub(super) fn transports(manifest: &Manifest) -> Vec<TransportId> {
    manifest.members.iter().flat_map(|member| member.transport.iter().cloned()).collect()
}

/// The shape of payloads under a policy.
pub(super) fn shape(policy: &Policy) -> Result<Arc<Shape>, DriverError> {
    let unfit =
        |what: String| DriverError::Unfit { what, todo: "the manifest's adapter is unusable; agree on another" };
    let layout = Layout::new(&policy.adapter).map_err(|error| unfit(error.to_string()))?;
    Ok(Arc::new(Shape { layout, codec: policy.codec }))
}

/// Checks that this member trains what the network agreed on.
pub(super) fn fit(trainer: &dyn Trainer, policy: &Policy, shape: &Shape) -> Result<(), DriverError> {
    let unfit = |what: String, todo| Err(DriverError::Unfit { what, todo });
    if let Err(error) = possible(policy) {
        return unfit(error.to_string(), "take a version that can, or agree on another policy");
    }
    let (ours, theirs) = (trainer.base_model(), policy.base_model);
    if ours != theirs {
        let what =
            format!("its base model has fingerprint {}, the network's {}", hex::encode(ours), hex::encode(theirs));
        return unfit(what, "take exactly the model files that the others have");
    }
    if !same_adapter(trainer.adapter(), &policy.adapter) {
        return unfit(
            difference(trainer.adapter(), &policy.adapter),
            "take the network's rank, alpha, targets and seed",
        );
    }
    if start_hash(&shape.layout.start(policy.adapter.seed)) != policy.adapter.start {
        return unfit("its starting adapter has another hash".into(), "the manifest was made with another version");
    }
    Ok(())
}

/// Whether two adapters agree in all but the hash of their start, which a trainer does not know.
pub(super) fn same_adapter(ours: &AdapterSpec, theirs: &AdapterSpec) -> bool {
    AdapterSpec { start: theirs.start, ..ours.clone() } == *theirs
}

fn difference(ours: &AdapterSpec, theirs: &AdapterSpec) -> String {
    let numbers = |spec: &AdapterSpec| (spec.rank, spec.alpha, spec.seed, spec.tensors.len());
    if numbers(ours) != numbers(theirs) {
        let (ours, theirs) = (numbers(ours), numbers(theirs));
        return format!("(rank, alpha, seed, tensors) are {ours:?}, the network's {theirs:?}");
    }
    let differs = ours.tensors.iter().zip(&theirs.tensors).find(|(ours, theirs)| ours != theirs);
    differs.map_or_else(String::new, |(ours, theirs)| format!("it adapts {ours:?}, the network {theirs:?}"))
}

/// What the engine goes on from, and whether a record of ours is among it.
pub(super) fn stored(store: &Store, chain: &Chain, me: MemberId, shape: &Shape) -> Result<(Stored, bool), DriverError> {
    let records = store.records()?;
    let mut newest: Option<((Incarnation, Seq), BlobHash)> = None;
    let mut own = Vec::new();
    let mut any = false;
    let mut others = Vec::new();
    for bytes in &records {
        let Ok(checked) = check_stored(bytes.clone(), chain) else { continue };
        let record = checked.record();
        any |= record.member == me;
        let (Spec::Update(_), Some(body)) = (&record.spec, record.body) else { continue };
        if record.member != me {
            others.push(body.hash);
            continue;
        }
        own.push(body.hash);
        let place = (record.incarnation, record.seq);
        if newest.is_none_or(|(other, _)| other < place) {
            newest = Some((place, body.hash));
        }
    }
    let blobs = store.blobs()?;
    let mut payloads: Vec<BlobHash> = others.into_iter().filter(|hash| blobs.binary_search(hash).is_ok()).collect();
    // Of our own only the newest can be gone on from.
    payloads.retain(|hash| !own.contains(hash));
    if let Some((_, hash)) = newest {
        match store.load_state(&hash, shape.layout.len()) {
            Ok(Some(_)) if blobs.binary_search(&hash).is_ok() => {
                store.keep_state(&hash);
                payloads.push(hash);
            }
            Ok(_) => tracing::warn!(
                "the training state of the newest record is not on disk: going on as after a long absence"
            ),
            Err(error) => tracing::warn!(%error, "the training state is damaged: going on as after a long absence"),
        }
    }
    payloads.sort_unstable();
    payloads.dedup();
    let evidence = store.evidence()?.into_iter().map(|(_, bytes)| bytes).collect();
    Ok((Stored { records, evidence, payloads }, any))
}

/// A record with its place, and its payload's hash if it is an update.
pub(super) fn entry(checked: &Checked) -> (Entry, Option<BlobHash>) {
    let record = checked.record();
    let head = Head { member: record.member, incarnation: record.incarnation, seq: record.seq, id: checked.id() };
    let update = matches!(record.spec, Spec::Update(_));
    let payload = record.body.filter(|_| update).map(|body| body.hash);
    (Entry { head, bytes: checked.bytes().clone() }, payload)
}

/// A record of ours as the egress ledger lists it.
pub(super) fn signed(checked: &Checked) -> Left {
    let record = checked.record();
    let update = if let Spec::Update(update) = &record.spec { Some(update) } else { None };
    let privacy = update.and_then(|update| update.privacy.as_ref()).map(claim);
    Left::Signed {
        record: checked.id().to_string(),
        bytes: checked.bytes().len() as u64,
        round: update.map(|update| update.round.0),
        body: record.body.map(|body| body.hash.to_string()),
        body_bytes: record.body.map(|body| body.length),
        state: update.and_then(|update| update.state).map(|body| body.hash.to_string()),
        privacy,
    }
}

/// A record's privacy claim in words.
fn claim(claim: &Privacy) -> String {
    let real = |thousandths: u64| thousandths as f64 / 1e3;
    format!(
        "epsilon {} at delta 1e-{} (sigma {}, clip {}, sampling {}, {} steps)",
        real(claim.epsilon_milli),
        real(claim.delta_log10_milli),
        real(claim.sigma_milli),
        real(claim.clip_milli),
        claim.rate_micro as f64 / 1e6,
        claim.steps
    )
}

#[cfg(test)]
mod tests {
    use chorale_protocol::{
        fixture,
        manifest::{Factor, PrivacyTerms, TensorSpec},
    };

    use super::*;
    use crate::train::{FakeOptions, FakeTrainer};

    #[test]
    fn a_network_that_trains_a_whole_tensor_is_refused_by_the_tensors_name() {
        let trainer = FakeTrainer::new(FakeOptions::default());
        let mut adapter = trainer.adapter().clone();
        let tensor = TensorSpec { name: "model.norm.weight".into(), factor: Factor::Dense, rows: 1, columns: 64 };
        adapter.tensors.push(tensor);
        let policy = Policy { base_model: trainer.base_model(), adapter, ..fixture::policy() };
        let said = fit(&trainer, &policy, &shape(&policy).unwrap()).unwrap_err().to_string();
        assert!(said.contains("model.norm.weight") && said.contains("kind dense"), "{said}");
    }

    #[test]
    fn a_network_that_wants_privacy_claims_is_refused() {
        let trainer = FakeTrainer::new(FakeOptions::default());
        let terms = PrivacyTerms { delta_log10_milli: 6_000, epsilon_milli: 8_000 };
        let (base_model, adapter) = (trainer.base_model(), trainer.adapter().clone());
        let policy = Policy { base_model, adapter, privacy: Some(terms), ..fixture::policy() };
        let said = fit(&trainer, &policy, &shape(&policy).unwrap()).unwrap_err().to_string();
        assert!(said.contains("wants a privacy claim with every update"), "{said}");
    }
}
