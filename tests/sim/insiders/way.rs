//! The ways in which an insider breaks a rule, and what it is called by those who notice.

use bytes::Bytes;
use chorale_protocol::{
    base::{BlobHash, Incarnation, Lamport, MemberId, MergeHash, RecordId, Seq},
    engine::Input,
    feed::{Body, Close, EvidenceSpec, FaultSpec, Flaw, Other, Reference, Release, Skip, SkipReason, Spec},
    fixture,
    manifest::Phase,
};
use chorale_tests::sim::{Draft, Insider, World};

/// What an insider does, once, after it has kept the rules for some rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Clock,
    RoundTooHigh,
    RoundFell,
    Weight,
    Phase,
    Steps,
    PayloadLength,
    Checkpoint,
    OthersPlace,
    NoUpdate,
    ForeignRelease,
    ReleaseRound,
    ReleasedTwice,
    ManyRecords,
    AfterClose,
    LeavesOneOut,
    OutOfTurn,
    TooMany,
    CallsAbsent,
    MergeHash,
    FarFromTheMerge,
    FrozenFactor,
    OutOfReach,
    Malformed,
    TwoHistories,
    EmptyEvidence,
    EmptyFault,
    AccusesPayload,
    AccusesMerge,
    MadeUpParent,
    Withholds,
    Attests,
    OldVersion,
    Silent,
}

impl Way {
    pub(crate) const ALL: [Self; 34] = [
        Self::Clock,
        Self::RoundTooHigh,
        Self::RoundFell,
        Self::Weight,
        Self::Phase,
        Self::Steps,
        Self::PayloadLength,
        Self::Checkpoint,
        Self::OthersPlace,
        Self::NoUpdate,
        Self::ForeignRelease,
        Self::ReleaseRound,
        Self::ReleasedTwice,
        Self::ManyRecords,
        Self::AfterClose,
        Self::LeavesOneOut,
        Self::OutOfTurn,
        Self::TooMany,
        Self::CallsAbsent,
        Self::MergeHash,
        Self::FarFromTheMerge,
        Self::FrozenFactor,
        Self::OutOfReach,
        Self::Malformed,
        Self::TwoHistories,
        Self::EmptyEvidence,
        Self::EmptyFault,
        Self::AccusesPayload,
        Self::AccusesMerge,
        Self::MadeUpParent,
        Self::Withholds,
        Self::Attests,
        Self::OldVersion,
        Self::Silent,
    ];

    /// The code by which at least one honest member names it; `None` where no rule is broken, or nobody can tell yet.
    pub(crate) const fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::Clock => "RULE-004",
            Self::RoundTooHigh => "RULE-005",
            Self::RoundFell => "FEED-008",
            Self::Weight => "RULE-008",
            Self::Phase => "REC-020",
            Self::Steps => "REC-021",
            Self::PayloadLength => "RULE-010",
            Self::Checkpoint => "RULE-014",
            Self::OthersPlace => "RULE-015",
            Self::OldVersion => "RULE-017",
            Self::NoUpdate => "RULE-001",
            Self::ForeignRelease => "RULE-016",
            Self::ReleaseRound => "RULE-011",
            Self::ReleasedTwice => "FEED-009",
            Self::ManyRecords => "FEED-010",
            Self::AfterClose => "FEED-004",
            Self::LeavesOneOut => "DRW-003",
            Self::OutOfTurn => "DRW-001",
            Self::TooMany => "DRW-002",
            Self::CallsAbsent => "DRW-004",
            Self::MergeHash => "MRG-001",
            Self::FarFromTheMerge => "MRG-004",
            Self::FrozenFactor => "MRG-005",
            Self::OutOfReach => "MRG-002",
            Self::Malformed => "PAY-003",
            Self::TwoHistories => "FORK-001",
            Self::EmptyEvidence => "FEED-006",
            Self::EmptyFault => "FEED-011",
            Self::AccusesPayload | Self::AccusesMerge => "FLT-003",
            Self::MadeUpParent | Self::Withholds | Self::Attests | Self::Silent => return None,
        })
    }

    /// Does it.
    pub(crate) fn act(self, world: &mut World, insider: &mut Insider) {
        match self {
            Self::NoUpdate
            | Self::ForeignRelease
            | Self::ReleaseRound
            | Self::ReleasedTwice
            | Self::ManyRecords
            | Self::AfterClose => self.say(world, insider),
            Self::EmptyEvidence | Self::EmptyFault | Self::AccusesPayload | Self::AccusesMerge => {
                self.accuse(world, insider);
            }
            Self::LeavesOneOut | Self::OutOfTurn | Self::TooMany | Self::CallsAbsent | Self::OutOfReach => {
                self.draw(world, insider);
            }
            Self::TwoHistories => {
                let Draft { record, payload, .. } = insider.draft(world);
                let twin = insider.twin(&record);
                insider.hand_out(world, record, &payload);
                insider.show(world, &twin, &payload);
            }
            Self::RoundFell => {
                let Draft { record, payload, .. } = insider.draft_afresh(world);
                insider.hand_out(world, record, &payload);
            }
            Self::OldVersion => stay_behind(world, insider),
            Self::Silent => {}
            _ => {
                let mut draft = insider.draft(world);
                self.change(world, &mut draft);
                let Draft { record, payload, .. } = draft;
                if self == Self::Withholds {
                    let withheld = insider.sign(world, record, &payload);
                    let nothing = Bytes::new();
                    insider.show(world, &withheld, &nothing);
                } else {
                    insider.hand_out(world, record, &payload);
                }
            }
        }
    }

    fn change(self, world: &World, draft: &mut Draft) {
        match self {
            Self::Clock => draft.record.clock = Lamport(draft.record.clock.0 + 1000),
            Self::RoundTooHigh => draft.update().round.0 += 2,
            Self::Weight => draft.update().weights[0] = 1,
            Self::Phase => {
                let phase = draft.update().phase;
                draft.update().phase = if phase == Phase::A { Phase::B } else { Phase::A };
            }
            Self::Steps => draft.update().steps = 1_000_000,
            Self::PayloadLength => {
                if let Some(body) = &mut draft.record.body {
                    body.length += 1;
                }
            }
            Self::Checkpoint => draft.update().state = Some(Body { hash: BlobHash([7; 32]), length: 1024 }),
            Self::OthersPlace => {
                let parents = &mut draft.record.parents;
                let (first, last) = (parents[0].record, parents[parents.len() - 1].record);
                parents[0].record = last;
                let end = parents.len() - 1;
                parents[end].record = first;
            }
            Self::MergeHash => draft.update().merge = MergeHash([0xbe; 32]),
            Self::FarFromTheMerge => draft.publish(far(world, draft, 40.0)),
            Self::FrozenFactor => draft.publish(far(world, draft, 0.01)),
            Self::Malformed => {
                let mut bytes = draft.payload.to_vec();
                // A mantissa that no encoder gives.
                let end = bytes.len();
                bytes[end - 2..].copy_from_slice(&i16::MIN.to_le_bytes());
                draft.publish(bytes.into());
            }
            // It says that it recomputed its own last merge.
            Self::Attests => draft.update().checked = draft.record.prev.into_iter().collect(),
            Self::MadeUpParent => {
                let parents = &mut draft.record.parents;
                let end = parents.len() - 1;
                parents[end].record = RecordId([0x77; 32]);
            }
            _ => {}
        }
    }

    fn say(self, world: &mut World, insider: &mut Insider) {
        let nothing = Bytes::new();
        let last = insider.last().unwrap().clone();
        let round = insider.round();
        let label = || "best".to_owned();
        match self {
            Self::NoUpdate => {
                let item = vec![0x80];
                let odd = insider.say(&[], Spec::Other(Other { kind: 9, item }));
                let odd = insider.hand_out(world, odd, &nothing);
                let mut draft = insider.draft(world);
                let place = insider.chain().current().place_of(&insider.id()).unwrap();
                let parents = &mut draft.record.parents;
                let own = parents.iter_mut().find(|parent| parent.member == place).unwrap();
                *own = Reference { member: place, record: odd.id() };
                insider.hand_out(world, draft.record, &draft.payload);
            }
            Self::ForeignRelease => {
                let other = world.nodes()[0].record().unwrap();
                let other = world.nodes()[0].disk().record(&other, insider.chain()).unwrap();
                let Spec::Update(update) = &other.record().spec else { panic!("an update") };
                let spec = Spec::Release(Release { round: update.round, label: label() });
                let record = insider.say(&[&other], spec);
                insider.hand_out(world, record, &nothing);
            }
            Self::ReleaseRound => {
                let spec = Spec::Release(Release { round: round.next(), label: label() });
                let record = insider.say(&[&last], spec);
                insider.hand_out(world, record, &nothing);
            }
            Self::ReleasedTwice => {
                for _ in 0..2 {
                    let record = insider.say(&[&last], Spec::Release(Release { round, label: label() }));
                    insider.hand_out(world, record, &nothing);
                }
            }
            Self::ManyRecords => {
                for _ in 0..17 {
                    let record = insider.say(&[], Spec::Other(Other { kind: 9, item: vec![0x80] }));
                    insider.hand_out(world, record, &nothing);
                }
            }
            _ => {
                let record = insider.say(&[], Spec::Close(Close::Left));
                insider.hand_out(world, record, &nothing);
                insider.publish(world);
            }
        }
    }

    fn draw(self, world: &mut World, insider: &mut Insider) {
        let order = insider.order();
        let draw = usize::try_from(insider.chain().current().policy.draw).unwrap();
        let there: Vec<MemberId> = order.iter().filter(|one| insider.voice(world, one).is_some()).copied().collect();
        let mut draft = match self {
            // One fewer than are drawn, and not a word about the others.
            Self::LeavesOneOut => insider.draft_with(world, &there[..draw - 1], &[]),
            // The last of the order, and not a word about those before.
            Self::OutOfTurn => insider.draft_with(world, &there[there.len() - draw..], &[]),
            Self::TooMany => insider.draft_with(world, &there[..=draw], &[]),
            Self::OutOfReach => insider.draft_with(world, &there[..draw - 1], &[]),
            _ => {
                // All up to one whom it had merged before it calls absent, in turn.
                let merged = |member: &MemberId| {
                    let place = insider.chain().current().place_of(member);
                    let last = insider.last().unwrap().record();
                    last.parents.iter().any(|parent| Some(parent.member) == place) && *member != insider.id()
                };
                let at = there.iter().position(merged).unwrap();
                let used = &there[at + 1..there.len().min(at + 1 + draw)];
                insider.draft_with(world, used, &there[..=at])
            }
        };
        if self == Self::OutOfReach {
            // The last one drawn is near, and is left out as too distant.
            let (far, _) = insider.voice(world, &there[draw - 1]).unwrap();
            let member = insider.chain().current().place_of(&there[draw - 1]).unwrap();
            draft.update().skipped.push(Skip { member, reason: SkipReason::Distance, record: Some(far.id()) });
        }
        insider.hand_out(world, draft.record, &draft.payload);
    }

    fn accuse(self, world: &mut World, insider: &mut Insider) {
        let victim = world.nodes()[0].record().unwrap();
        let victim = world.nodes()[0].disk().record(&victim, insider.chain()).unwrap();
        let record = victim.record();
        let (accused, incarnation, seq) = (record.member, record.incarnation, record.seq);
        let fault = |flaw| Spec::Fault(FaultSpec { accused, incarnation, seq, record: victim.id(), flaw });
        let (spec, bundle) = match self {
            Self::EmptyEvidence => {
                let spec = EvidenceSpec { accused, incarnation: Incarnation(0), seq: Seq(0) };
                (Spec::Evidence(spec), Some(same_twice(victim.bytes())))
            }
            Self::EmptyFault => (fault(Flaw::Rule), Some(no_fault(victim.bytes()))),
            Self::AccusesPayload => (fault(Flaw::Payload), None),
            _ => (fault(Flaw::Merge), None),
        };
        let mut draft = insider.say(&[], spec);
        draft.body = bundle.as_ref().map(|bundle| fixture::body(bundle));
        insider.hand_out(world, draft, &bundle.unwrap_or_default());
    }
}

/// A manifest version comes, the honest publish under it, and the insider merges that under the one before.
fn stay_behind(world: &mut World, insider: &mut Insider) {
    let old = (insider.chain().current().version, insider.chain().current_hash());
    let mut next = fixture::next(insider.chain());
    next.policy.round_ms += 1;
    let next = fixture::signed(next, &[0]);
    insider.follow(next.clone());
    let honest: Vec<usize> = (0..world.nodes().len()).filter(|node| world.nodes()[*node].record().is_some()).collect();
    for node in &honest {
        world.inject(*node, Input::Manifest { bytes: next.clone(), from: None });
    }
    let is_new = |world: &World, insider: &Insider, node: usize| {
        let voice = insider.voice(world, &world.nodes()[node].id());
        voice.is_some_and(|(checked, _)| checked.record().manifest_version > old.0)
    };
    for _ in 0..100 {
        if honest.iter().all(|node| is_new(world, insider, *node)) {
            break;
        }
        world.run_for(20);
    }
    let Draft { mut record, payload, .. } = insider.draft(world);
    (record.manifest_version, record.manifest_hash) = old;
    insider.hand_out(world, record, &payload);
}

/// A payload that lies so far from the merge in every value.
fn far(world: &World, draft: &Draft, step: f32) -> Bytes {
    let values: Vec<f32> = draft.merged.iter().map(|value| value + step).collect();
    let codec = world.chain().current().policy.codec;
    chorale_protocol::adapter::encode_f32(world.layout(), codec, &values).expect("finite values")
}

fn bstr(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short record").to_be_bytes();
    [&[0x59][..], &length, bytes].concat()
}

/// A bundle of one record twice: nothing contradicts anything.
fn same_twice(envelope: &[u8]) -> Bytes {
    [&[0x83, 0x00][..], &bstr(envelope), &bstr(envelope)].concat().into()
}

/// A bundle of a record that breaks no rule.
fn no_fault(envelope: &[u8]) -> Bytes {
    [&[0x83, 0x02][..], &bstr(envelope), &[0x80]].concat().into()
}
