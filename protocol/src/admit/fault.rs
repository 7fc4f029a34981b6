//! The proof that a record breaks a rule. It convinces anyone who holds the manifest chain.
//!
//! Bytes: CBOR `[2, bstr (envelope), [bstr (envelope), …]]`: the record, then others that it names or that stand before it, strictly
//! ascending by id. What the rules need and is not among them is not judged.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Parent, check, check_draw, check_named, check_opening, drawable};
use crate::{
    adapter::Layout,
    base::{Incarnation, MemberId, RecordId, Seq, limit},
    code::{
        cbor::{self, Bounds},
        map::Blob,
    },
    draw::Seed,
    feed::{Checked, Evidence, FaultSpec, Kind, Privacy, Record, Refusal, Spec, check_despite_cut},
    manifest::{Chain, Manifest},
};

/// The first item of such a bundle; contradictions have 0 and 1.
const FORM: u64 = 2;

/// A record that breaks a rule, with what shows it.
#[derive(Debug, Clone)]
pub struct FaultProof {
    accused: Checked,
    others: Vec<Checked>,
    code: &'static str,
    text: String,
}

/// A bundle of either kind.
#[derive(Debug, Clone)]
pub enum Bundle {
    /// Two histories.
    Evidence(Box<Evidence>),
    /// A broken rule.
    Fault(Box<FaultProof>),
}

impl Bundle {
    /// Decodes and verifies a bundle.
    ///
    /// # Errors
    /// Malformed, a record that does not check, or records that prove nothing.
    pub fn parse(bytes: &[u8], chain: &Chain) -> Result<Self, Refusal> {
        // An array of three, and its first item.
        if bytes.starts_with(&[0x83, FORM as u8]) {
            FaultProof::parse(bytes, chain).map(|proof| Self::Fault(Box::new(proof)))
        } else {
            Evidence::parse(bytes, chain).map(|evidence| Self::Evidence(Box::new(evidence)))
        }
    }

    /// Whom it accuses, and where.
    #[must_use]
    pub fn accused(&self) -> (MemberId, Incarnation, Seq) {
        match self {
            Self::Evidence(evidence) => evidence.accused(),
            Self::Fault(fault) => fault.accused(),
        }
    }
}

impl FaultProof {
    /// The proof in a record and others, each of them checked; `None` if they show no broken rule.
    #[must_use]
    pub fn of(accused: Checked, others: Vec<Checked>, chain: &Chain) -> Option<Self> {
        let others: BTreeMap<RecordId, Checked> = others.into_iter().map(|one| (one.id(), one)).collect();
        if others.len() > limit::FAULT_RECORDS || others.contains_key(&accused.id()) {
            return None;
        }
        let (code, text) = Case { record: accused.record(), others: &others, chain }.broken()?;
        Some(Self { accused, others: others.into_values().collect(), code, text })
    }

    /// Decodes and verifies a bundle. Its records need not stand.
    ///
    /// # Errors
    /// Malformed, a record that does not check, or no rule is broken.
    pub fn parse(bytes: &[u8], chain: &Chain) -> Result<Self, Refusal> {
        let bounds = Bounds { bytes: limit::FAULT_BYTES, items: limit::FAULT_RECORDS + 4, depth: 2 };
        let (form, accused, others): (u64, Blob, Vec<Blob>) = cbor::decode(bytes, bounds)?;
        let accused = check_despite_cut(accused.0.into(), chain)?;
        let record = accused.id();
        let others: Vec<Checked> =
            others.into_iter().map(|other| check_despite_cut(other.0.into(), chain)).collect::<Result<_, _>>()?;
        let ascending = others.is_sorted_by(|one, other| one.id() < other.id());
        let proof = Self::of(accused, others, chain).filter(|_| form == FORM && ascending);
        proof.ok_or(Refusal::NoFault { record })
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let blob = |checked: &Checked| Blob(checked.bytes().to_vec());
        let others: Vec<Blob> = self.others.iter().map(blob).collect();
        cbor::encode(&(FORM, blob(&self.accused), others)).into()
    }

    /// Whom it accuses, and where.
    #[must_use]
    pub fn accused(&self) -> (MemberId, Incarnation, Seq) {
        let record = self.accused.record();
        (record.member, record.incarnation, record.seq)
    }

    /// The record that breaks the rule.
    #[must_use]
    pub const fn record(&self) -> &Checked {
        &self.accused
    }

    /// The rule's code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is what a record of kind `fault` says it is.
    ///
    /// # Errors
    /// It accuses somebody else, or of another record.
    pub fn supports(&self, spec: &FaultSpec) -> Result<(), Refusal> {
        let FaultSpec { accused, incarnation, seq, record, .. } = *spec;
        if self.accused() == (accused, incarnation, seq) && self.accused.id() == record {
            return Ok(());
        }
        Err(Refusal::OtherAccused { got: self.accused().0, wanted: accused })
    }
}

/// A record, and what is at hand to judge it by.
struct Case<'a> {
    record: &'a Record,
    others: &'a BTreeMap<RecordId, Checked>,
    chain: &'a Chain,
}

type Broken = (&'static str, String);

impl<'a> Case<'a> {
    fn other(&self, id: &RecordId) -> Option<&'a Record> {
        self.others.get(id).map(Checked::record)
    }

    fn fact(&self, id: &RecordId) -> Option<Parent> {
        self.other(id).map(Parent::of)
    }

    /// The first rule that is broken.
    fn broken(&self) -> Option<Broken> {
        let (manifest, _) = self.chain.at(self.record.manifest_version)?;
        self.rules(manifest).or_else(|| self.feed()).or_else(|| self.draw(manifest))
    }

    fn rules(&self, manifest: &Manifest) -> Option<Broken> {
        let record = self.record;
        let prev = record.prev.and_then(|id| self.fact(&id));
        let prev = prev.map(|prev| Parent { claim: self.claim(), ..prev });
        let opening = prev.filter(|_| record.seq == Seq(0));
        let opening = opening.map_or(Ok(()), |prev| check_opening(record.member, record.incarnation, &prev));
        let parents: Vec<Option<Parent>> = record.parent_ids().map(|id| self.fact(&id)).collect();
        let policy = &manifest.policy;
        let length = Layout::new(&policy.adapter).ok()?.payload_len(policy.codec);
        let named = || check_named(record, manifest, |id| self.fact(id));
        // When the version's first update of this feed came is not shown: the rule about older versions is judged as if now.
        let rules = || check(record, prev, &parents, (policy, length), None);
        let error = opening.and_then(|()| named()).and_then(|()| rules()).err()?;
        Some((error.code(), error.to_string()))
    }

    /// The author's newest privacy claim before the record.
    fn claim(&self) -> Option<Privacy> {
        let mut at = self.record.prev;
        while let Some(before) = at.and_then(|id| self.other(&id)).filter(|one| one.member == self.record.member) {
            match &before.spec {
                Spec::Update(update) if update.privacy.is_some() => return update.privacy,
                _ => at = before.prev,
            }
        }
        None
    }

    /// The record before it, if it is that.
    fn before(&self, record: &Record) -> Option<&'a Record> {
        let before = self.other(&record.prev?)?;
        let place = (before.member, before.incarnation, before.seq.next());
        (place == (record.member, record.incarnation, record.seq)).then_some(before)
    }

    /// The rules between a record and those before it in its feed.
    fn feed(&self) -> Option<Broken> {
        let record = self.record;
        let (seq, before) = (record.seq, self.before(record)?);
        let refusal = if matches!(before.spec, Spec::Close(_)) {
            Some(Refusal::Closed { seq })
        } else if record.manifest_version < before.manifest_version {
            Some(Refusal::VersionFell { seq, got: record.manifest_version, before: before.manifest_version })
        } else if let (Spec::Update(update), Some(Some(Spec::Update(last)))) = (&record.spec, self.last_update()) {
            let fell = update.round <= last.round;
            fell.then_some(Refusal::RoundFell { seq, got: update.round, before: last.round })
        } else {
            self.too_many()
        };
        refusal.map(|refusal| (refusal.code(), refusal.to_string()))
    }

    /// Whether so many records of one kind stand before it, without an update between them.
    fn too_many(&self) -> Option<Refusal> {
        let kind = self.record.spec.kind();
        if matches!(kind, Kind::Update | Kind::Close) {
            return None;
        }
        let mut count = 0;
        let mut at = self.record;
        while let Some(before) = self.before(at).filter(|before| before.spec.kind() != Kind::Update) {
            count += u64::from(before.spec.kind() == kind);
            at = before;
        }
        (count >= limit::BETWEEN_UPDATES)
            .then_some(Refusal::TooMany { seq: self.record.seq, kind: "records of one kind" })
    }

    /// The author's last update in this incarnation; `Some(None)` if there is none, `None` if that is not shown.
    fn last_update(&self) -> Option<Option<&'a Spec>> {
        self.last_record().map(|last| last.map(|record| &record.spec))
    }

    fn last_record(&self) -> Option<Option<&'a Record>> {
        let mut at = self.record;
        while at.seq > Seq(0) {
            at = self.before(at)?;
            if matches!(at.spec, Spec::Update(_)) {
                return Some(Some(at));
            }
        }
        Some(None)
    }

    fn draw(&self, manifest: &Manifest) -> Option<Broken> {
        if !matches!(self.record.spec, Spec::Update(_)) {
            return None;
        }
        let after = |last: &Record| Seed::after(last, self.chain.at(last.manifest_version)?.0);
        let seed = self.last_record().and_then(|last| last.map_or_else(|| Some(Seed::default()), after));
        let members = drawable(manifest);
        let error = check_draw(&self.chain.network(), self.record, seed.as_ref(), (manifest, &members)).err()?;
        Some((error.code(), error.to_string()))
    }
}
