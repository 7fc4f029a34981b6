//! `chorale network propose`: the next version of the manifest, unsigned.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use chorale::config::Home;
use chorale_protocol::{
    base::{Incarnation, MemberId, RecordId, Seq},
    manifest::{Chain, Cut, Manifest, Role, SignedManifest},
};
use serde_json::json;

use super::{file, policy::scaled, rekey};
use crate::cli::{card::Card, out::Out, progress::read_status};

/// Write the next version of this home's manifest, unsigned: governors then sign, combine and apply it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The home folder of any member
    #[arg(long)]
    home: PathBuf,
    /// Cards of new members
    #[arg(long, num_args = 1..)]
    add_member: Vec<PathBuf>,
    /// Cards of new observers (see network create)
    #[arg(long, num_args = 1..)]
    add_observer: Vec<PathBuf>,
    /// Cards of new archivists (see network create)
    #[arg(long, num_args = 1..)]
    add_archivist: Vec<PathBuf>,
    /// Members (label or id) that leave: they and their vote are no more; what of theirs this home holds stands, or what --cut
    /// says
    #[arg(long, num_args = 1..)]
    remove: Vec<String>,
    /// Cut a member's feed: MEMBER:INCARNATION (nothing of it stands) or MEMBER:INCARNATION:SEQ:RECORD (up to that record)
    #[arg(long, num_args = 1..)]
    cut: Vec<String>,
    /// Members' own wishes for their next keys (see key rotate)
    #[arg(long, num_args = 1..)]
    rotate: Vec<PathBuf>,
    /// Give a member that lost its keys those of a new home: MEMBER=CARD. Auditors will say that it had not committed to them
    #[arg(long, num_args = 1..)]
    rebind: Vec<String>,
    /// Up to where records under a changed key stand, as in --cut; if absent, as far as the member's --rotate file says. Nothing
    /// else will do: what this home holds may be signed by whoever stole the key
    #[arg(long, num_args = 1..)]
    handover: Vec<String>,
    /// Where a member's transparency log passes to its changed key: MEMBER:SIZE:ROOT, or MEMBER:0 if it begins anew. If absent as
    /// the member's --rotate file says, and anew with --rebind
    #[arg(long, num_args = 1..)]
    log_end: Vec<String>,
    /// Whether new members get a vote on changes
    #[arg(long)]
    govern: bool,
    /// How many governors a change takes; if absent as now, or more than half of the governors if their number
    /// changes
    #[arg(long)]
    threshold: Option<u64>,
    /// A new last round; 0: none
    #[arg(long)]
    rounds: Option<u64>,
    /// How many members each merges with in a round
    #[arg(long)]
    draw: Option<u64>,
    /// A new norm bound
    #[arg(long)]
    norm_bound: Option<f64>,
    /// A new reach
    #[arg(long)]
    reach: Option<f64>,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let chain = file::stored_chain(&Home::open(&self.home)?)?;
        let manifest = self.successor(&chain)?;
        self.check_rounds()?;
        let signed = SignedManifest::new(manifest)?;
        file::write_new(&self.out, &signed.to_bytes())?;
        let path = self.out.display().to_string();
        let version = signed.manifest.version;
        let text = format!(
            "wrote {path}: version {version} of network {}\n\
             next: at least {} of the present governors and {} of the new ones sign it (chorale network sign), then combine and apply",
            chain.network(),
            chain.current().threshold,
            signed.manifest.threshold
        );
        out.result(&json!({ "file": path, "version": version, "network": chain.network().to_string() }), text);
        Ok(())
    }

    /// The last round lies ahead: members that are there close their feeds for ever.
    fn check_rounds(&self) -> Result<()> {
        let Some(rounds) = self.rounds.filter(|rounds| *rounds > 0) else { return Ok(()) };
        let round = read_status(&Home::open(&self.home)?).map_or(0, |status| status.round);
        ensure!(
            rounds > round,
            "--rounds: got {rounds}, wanted more than {round}, which this home's member has published; 0 is for no end"
        );
        Ok(())
    }

    fn successor(&self, chain: &Chain) -> Result<Manifest> {
        let mut next = chain.current().clone();
        next.network = Some(chain.network());
        next.version += 1;
        next.prev = Some(chain.current_hash());
        next.handovers.clear();
        let cuts = self.cut.iter().map(|text| parse_cut("--cut", chain.current(), text)).collect::<Result<Vec<_>>>()?;
        for cut in cuts {
            next.cuts.retain(|other| other.member != cut.member);
            next.cuts.push(cut);
        }
        self.rekey(chain, &mut next)?;
        for who in &self.remove {
            let id = find(chain.current(), who)?;
            self.settle(&mut next, id)?;
            next.governors.retain(|key| next.members.iter().any(|m| m.author_key == *key && m.id != id));
            next.members.retain(|member| member.id != id);
        }
        let added = [
            (&self.add_member, Role::Member),
            (&self.add_observer, Role::Observer),
            (&self.add_archivist, Role::Archivist),
        ];
        for (path, role) in added.into_iter().flat_map(|(paths, role)| paths.iter().map(move |path| (path, role))) {
            let member = Card::read(path)?.member(role)?;
            ensure!(next.members.iter().all(|m| m.id != member.id), "{} is in the network already", member.label);
            if self.govern {
                next.governors.push(member.author_key);
            }
            next.members.push(member);
        }
        next.governors.sort();
        next.members.sort_by_key(|member| member.id);
        next.cuts.sort_by_key(|cut| cut.member);
        next.handovers.sort_by_key(|handover| handover.member);
        if next.governors.len() != chain.current().governors.len() {
            next.threshold = next.governors.len() as u64 / 2 + 1;
        }
        next.threshold = self.threshold.unwrap_or(next.threshold);
        let policy = &mut next.policy;
        policy.rounds = self.rounds.unwrap_or(policy.rounds);
        policy.draw = self.draw.unwrap_or(policy.draw);
        if let Some(norm) = self.norm_bound {
            policy.norm_bound = scaled("--norm-bound", norm, 1e9)?;
        }
        if let Some(reach) = self.reach {
            policy.reach = scaled("--reach", reach, 4e9)?;
        }
        Ok(next)
    }

    /// Who leaves has a cut: where it was said, or where this home's knowledge of it ends.
    fn settle(&self, next: &mut Manifest, member: MemberId) -> Result<()> {
        let published = next.member(&member).is_some_and(|entry| entry.role == Role::Member);
        if published && next.cuts.iter().all(|cut| cut.member != member) {
            let head = rekey::head(&self.home, &member)
                .context("where the records of who leaves end: say it with --cut, or stop this home's node")?;
            let (incarnation, last) = head.map_or((Incarnation(0), None), |(at, seq, id)| (at, Some((seq, id))));
            next.cuts.push(Cut { member, incarnation, last });
        }
        Ok(())
    }

    /// New keys, each with its handover.
    fn rekey(&self, chain: &Chain, next: &mut Manifest) -> Result<()> {
        let said = self.handover.iter().map(|text| parse_cut("--handover", chain.current(), text));
        let mut said = said.collect::<Result<Vec<_>>>()?;
        let ends = self.log_end.iter().map(|text| rekey::log_end(chain.current(), text));
        let mut ends = ends.collect::<Result<Vec<_>>>()?;
        let mut changes = Vec::new();
        for path in &self.rotate {
            changes.push(rekey::rotation(path, chain)?);
        }
        for text in &self.rebind {
            let (who, card) =
                text.split_once('=').with_context(|| format!("--rebind: got {text:?}, wanted MEMBER=CARD"))?;
            changes.push(rekey::rebinding(find(chain.current(), who)?, card.as_ref())?);
        }
        for mut change in changes {
            let place = said.iter().position(|cut| cut.member == change.member).map(|at| said.remove(at));
            if let Some(at) = ends.iter().position(|(member, _)| *member == change.member) {
                change.log = ends.remove(at).1;
            }
            rekey::apply(change, place, &self.home, next)?;
        }
        let said = said.iter().map(|cut| cut.member).chain(ends.iter().map(|(member, _)| *member));
        let spare: Vec<String> = said.map(|member| member.to_string()).collect();
        ensure!(
            spare.is_empty(),
            "--handover or --log-end of a member whose key does not change: {}",
            spare.join(", ")
        );
        Ok(())
    }
}

/// A member by label or id.
pub(super) fn find(manifest: &Manifest, who: &str) -> Result<MemberId> {
    let mut found = manifest.members.iter().filter(|m| m.label == who || m.id.to_string() == who).map(|m| m.id);
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => bail!("{who:?} is no member; members are: {}", labels(manifest)),
        (Some(_), Some(_)) => bail!("{who:?} names several members; give the member id"),
    }
}

fn labels(manifest: &Manifest) -> String {
    manifest.members.iter().map(|m| m.label.as_str()).collect::<Vec<_>>().join(", ")
}

fn parse_cut(flag: &str, manifest: &Manifest, text: &str) -> Result<Cut> {
    let parts: Vec<&str> = text.split(':').collect();
    let want = || format!("{flag}: got {text:?}, wanted MEMBER:INCARNATION or MEMBER:INCARNATION:SEQ:RECORD");
    let number = |part: &str| part.parse::<u64>().with_context(want);
    let (who, incarnation, last) = match parts.as_slice() {
        [who, incarnation] => (who, incarnation, None),
        [who, incarnation, seq, record] => {
            (who, incarnation, Some((Seq(number(seq)?), record.parse::<RecordId>().with_context(want)?)))
        }
        _ => bail!(want()),
    };
    Ok(Cut { member: find(manifest, who)?, incarnation: Incarnation(number(incarnation)?), last })
}
