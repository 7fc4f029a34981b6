//! A network played honestly for many rounds, straight into a folder.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    thread,
    time::Instant,
};

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload, encode_f32, f32_view, start_hash},
    admit,
    audit::layout::{Name, frame, genesis_name},
    base::{MemberId, MergeHash, Round},
    code::blob_hash,
    draw::{self, Seed},
    feed::{Body, Checked, Skip, SkipReason, Spec, Update},
    fixture::{self, Author},
    manifest::{AdapterSpec, Chain, Factor, Policy, TensorSpec},
    merge::{Plan, Voice, perform},
};

use crate::{Blobs, Fail, Make};

/// Rows of the larger tensor of an adapter; ranks are 2.
const RANK: u64 = 2;
/// Members that a list of those passed over holds.
const SKIPPED: usize = 64;

/// What all authors share.
struct Play<'a> {
    args: &'a Make,
    chain: Chain,
    layout: Layout,
    drawable: Vec<MemberId>,
    /// The one payload of [`Blobs::Same`].
    same: Bytes,
}

/// One member and its newest publication.
struct Player {
    author: Author,
    feed: BufWriter<File>,
    newest: Option<(Checked, Voice)>,
}

pub(crate) fn make(args: &Make, threads: usize) -> Result<(), Fail> {
    let start = Instant::now();
    fs::create_dir(&args.folder)?;
    for folder in ["feeds", "blobs"] {
        fs::create_dir(args.folder.join(folder))?;
    }
    let chain = fixture::chain(args.members, policy(args));
    let genesis = chain.signed().first().cloned().ok_or("no genesis")?;
    fs::write(args.folder.join(genesis_name()), genesis)?;
    let layout = Layout::new(&chain.current().policy.adapter)?;
    let same = encode_f32(&layout, chain.current().policy.codec, &f32_view(&layout.start(7)))?;
    if args.blobs == Blobs::Same {
        fs::write(args.folder.join(Name::Blob(blob_hash(&same)).to_string()), &same)?;
    }
    let play = Play { args, drawable: admit::drawable(chain.current()), layout, same, chain };
    let mut players = (0..args.members).map(|n| Player::new(n, &args.folder)).collect::<Result<Vec<_>, Fail>>()?;
    // What the others see of a round that is over.
    let mut before: Vec<Option<(Checked, Voice)>> = vec![None; players.len()];
    let rounds = args.records.div_ceil(args.members);
    for round in 1..=rounds {
        let share = players.len().div_ceil(threads);
        thread::scope(|scope| {
            let (play, before) = (&play, &before);
            let each = |part: &mut [Player]| part.iter_mut().try_for_each(|player| player.publish(play, round, before));
            let helpers: Vec<_> = players.chunks_mut(share).map(|part| scope.spawn(move || each(part))).collect();
            helpers.into_iter().try_for_each(|helper| helper.join().map_err(|_| "an author panicked")?)
        })?;
        before = players.iter().map(|player| player.newest.clone()).collect();
    }
    let mut anchors = String::new();
    for player in &mut players {
        player.feed.flush()?;
        anchors.extend(player.newest.iter().map(|(checked, _)| format!("{}\n", checked.id())));
    }
    fs::write(args.folder.with_extension("anchors"), anchors)?;
    let (records, network) = (rounds * args.members, play.chain.network());
    println!(
        "network {network}: {records} records of {} members in {:.1} s",
        args.members,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

impl Player {
    fn new(n: u64, folder: &Path) -> Result<Self, Fail> {
        let author = Author::new(n);
        let name = Name::Feed(author.id, author.incarnation).to_string();
        Ok(Self { feed: BufWriter::new(File::create_new(folder.join(name))?), author, newest: None })
    }

    /// One honest publication: the draw's first peers of the round before, merged.
    fn publish(&mut self, play: &Play<'_>, round: u64, before: &[Option<(Checked, Voice)>]) -> Result<(), Fail> {
        let manifest = play.chain.current();
        let (policy, me) = (&manifest.policy, self.author.id);
        let last = self.newest.as_ref().and_then(|(checked, _)| Seed::after(checked.record(), manifest));
        let seed = last.unwrap_or_default();
        let order = draw::order(&play.chain.network(), &me, self.author.incarnation, &seed, &play.drawable);
        let known: Vec<&(Checked, Voice)> = before.iter().flatten().collect();
        let of = |member: &MemberId| known.iter().find(|(_, voice)| voice.member == *member).copied();
        let count = usize::try_from(policy.draw)?;
        let others: Vec<&(Checked, Voice)> = order.iter().filter_map(of).take(count).collect();
        let own = self.newest.as_ref();
        let (merge, values) = merged(play, own, &others)?;
        let payload = payload(play, values, self.author.n, round)?;
        let body = match play.args.blobs {
            Blobs::Pruned => unkept(play, self.author.n, round)?,
            Blobs::Same | Blobs::Own => Body { hash: blob_hash(&payload), length: payload.len() as u64 },
        };
        if play.args.blobs == Blobs::Own {
            fs::write(play.args.folder.join(Name::Blob(body.hash).to_string()), &payload)?;
        }
        let place = |member: &MemberId| manifest.members.iter().position(|entry| entry.id == *member);
        // Nobody has published before the first round, which accounts for the whole draw.
        let absent = order.iter().filter(|_| round == 1).take(SKIPPED).filter_map(place);
        let claim = blake3::hash(format!("claim {} {} {round}", play.args.seed, self.author.n).as_bytes());
        let parents: Vec<&Checked> = own.into_iter().chain(others).map(|(checked, _)| checked).collect();
        let update = Update {
            merge,
            skipped: absent.map(|at| Skip { member: at as u64, reason: SkipReason::Absent, record: None }).collect(),
            loss_before_micro: Some(2_000_000 + u64::from(claim.as_bytes()[0])),
            loss_after_micro: Some(1_900_000 + u64::from(claim.as_bytes()[1])),
            ..fixture::update(&play.chain, round, parents.len())
        };
        let mut record = self.author.draft(&play.chain, &parents, Spec::Update(update));
        record.body = Some(body);
        let checked = self.author.write(record);
        self.feed.write_all(&frame(checked.bytes()))?;
        let payload = Payload::check(&play.layout, policy.codec, payload)?;
        let voice = Voice { member: me, record: checked.id(), round: Round(round), payload };
        self.newest = Some((checked, voice));
        Ok(())
    }
}

/// The merge's hash and values; where payloads are pruned nobody computes any but the first again.
fn merged(
    play: &Play<'_>,
    own: Option<&(Checked, Voice)>,
    others: &[&(Checked, Voice)],
) -> Result<(MergeHash, Vec<i64>), Fail> {
    if play.args.blobs == Blobs::Pruned && own.is_some() {
        return Ok((MergeHash([0x3e; 32]), Vec::new()));
    }
    let others: Vec<Voice> = others.iter().map(|(_, voice)| voice.clone()).collect();
    let merged = perform(Plan {
        network: play.chain.network(),
        policy: &play.chain.current().policy,
        layout: &play.layout,
        own: own.map(|(_, voice)| voice),
        others: &others,
        state: None,
        spare: Vec::new(),
        threads: 1,
    })?;
    Ok((merged.hash, merged.values))
}

/// What is published: the merge, moved a little.
fn payload(play: &Play<'_>, values: Vec<i64>, n: u64, round: u64) -> Result<Bytes, Fail> {
    if play.args.blobs != Blobs::Own {
        return Ok(play.same.clone());
    }
    let mut trained = f32_view(&values);
    let mut noise =
        blake3::Hasher::new().update(format!("noise {} {n} {round}", play.args.seed).as_bytes()).finalize_xof();
    let mut bytes = vec![0; trained.len()];
    noise.fill(&mut bytes);
    for (value, byte) in trained.iter_mut().zip(bytes) {
        *value += (f32::from(byte) - 127.5) * 1e-5;
    }
    Ok(encode_f32(&play.layout, play.chain.current().policy.codec, &trained)?)
}

/// The body of a publication whose payload nobody keeps.
fn unkept(play: &Play<'_>, n: u64, round: u64) -> Result<Body, Fail> {
    let name = format!("payload {} {n} {round}", play.args.seed);
    Ok(Body { hash: blob_hash(name.as_bytes()), length: play.layout.payload_len(play.chain.current().policy.codec) })
}

/// The fixtures' policy without momentum, with bounds so wide that nothing is out of reach.
fn policy(args: &Make) -> Policy {
    let tensor = |name: &str, factor, rows, columns| TensorSpec { name: name.into(), factor, rows, columns };
    let columns = (args.values / RANK / 2).max(7);
    let adapter = AdapterSpec {
        tensors: vec![
            tensor("layers.0.q_proj.lora_A.weight", Factor::A, RANK, columns),
            tensor("layers.0.q_proj.lora_B.weight", Factor::B, RANK, columns),
        ],
        ..fixture::adapter()
    };
    let start = Layout::new(&adapter).map(|layout| start_hash(&layout.start(adapter.seed))).unwrap_or_default();
    let adapter = AdapterSpec { start, ..adapter };
    let wide = 65_536 * 1_000_000;
    let keep_rounds = if args.blobs == Blobs::Pruned { 1 } else { 0 };
    Policy { adapter, momentum: 0, norm_bound: wide, reach: wide, keep_rounds, ..fixture::policy() }
}
