//! `chorale network propose`: the next version of the manifest, unsigned.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use chorale::config::Home;
use chorale_protocol::{
    base::{Incarnation, MemberId, RecordId, Seq},
    manifest::{Chain, Cut, Manifest, Role, SignedManifest},
};
use serde_json::json;

use super::{file, policy::scaled};
use crate::cli::{card::Card, out::Out};

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
    /// Members (label or id) that leave: they and their vote are no more, what they published stands
    #[arg(long, num_args = 1..)]
    remove: Vec<String>,
    /// Cut a member's feed: MEMBER:INCARNATION (nothing of it stands) or MEMBER:INCARNATION:SEQ:RECORD (up to that record)
    #[arg(long, num_args = 1..)]
    cut: Vec<String>,
    /// Whether new members get a vote on changes
    #[arg(long)]
    govern: bool,
    /// How many governors a change takes; if absent as now, or more than half of the governors if these change
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

    fn successor(&self, chain: &Chain) -> Result<Manifest> {
        let mut next = chain.current().clone();
        next.network = Some(chain.network());
        next.version += 1;
        next.prev = Some(chain.current_hash());
        for who in &self.remove {
            let id = find(chain.current(), who)?;
            next.governors.retain(|key| next.members.iter().any(|m| m.author_key == *key && m.id != id));
            next.members.retain(|member| member.id != id);
        }
        for text in &self.cut {
            let cut = parse_cut(chain.current(), text)?;
            next.cuts.retain(|other| (other.member, other.incarnation) != (cut.member, cut.incarnation));
            next.cuts.push(cut);
        }
        let added = [(&self.add_member, Role::Member), (&self.add_observer, Role::Observer)];
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
        next.cuts.sort_by_key(|cut| (cut.member, cut.incarnation));
        if next.governors != chain.current().governors {
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
}

/// A member by label or id.
fn find(manifest: &Manifest, who: &str) -> Result<MemberId> {
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

fn parse_cut(manifest: &Manifest, text: &str) -> Result<Cut> {
    let parts: Vec<&str> = text.split(':').collect();
    let want = || format!("--cut: got {text:?}, wanted MEMBER:INCARNATION or MEMBER:INCARNATION:SEQ:RECORD");
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
