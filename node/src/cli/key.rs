//! `chorale key`: the author key of a home, and the one that follows it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use chorale::{config::Home, store::Store};
use chorale_protocol::{
    base::{Incarnation, KeyHash, MemberId, RecordId, Seq},
    code::PublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{card::read_text, network, out::Out, progress::read_status};

/// This home's author key, and the one that follows it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the public author key, and the hash that commits to the next one
    Show(Place),
    /// Print what governors need to give this member its next key (network propose --rotate). Tells the next public key
    Rotate(Place),
    /// Make the next key the current one, if the manifest names it. `run` does so by itself
    Next(Place),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
}

/// A member's wish for its next key, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// Version of this form.
    chorale_rotation: u32,
    /// 64 hexadecimal digits.
    member: String,
    /// The next author key: 64 hexadecimal digits.
    key: String,
    /// The commitment to the one after it: 64 hexadecimal digits.
    next: String,
    /// The newest record under the present key.
    head: Option<At>,
}

/// A record's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    incarnation: u64,
    seq: u64,
    record: String,
}

/// A rotation whose fields were read.
pub(crate) struct Wish {
    pub(crate) member: MemberId,
    pub(crate) key: PublicKey,
    pub(crate) next: KeyHash,
    pub(crate) head: Option<(Incarnation, Seq, RecordId)>,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        match self.verb {
            Verb::Show(place) => show(&place.home, out),
            Verb::Rotate(place) => rotate(&place.home, out),
            Verb::Next(place) => next(&place.home, out),
        }
    }
}

fn show(root: &Path, out: &Out) -> Result<()> {
    let home = Home::open(root)?;
    let next = KeyHash::of(&home.next_author()?.public());
    let signers = home.signers()?;
    let author = signers.first().context("no author key")?.public();
    let text = format!("author key {author}\nnext key   of hash {next}; compare with: chorale network show");
    out.result(&json!({ "author_key": author.to_string(), "next": next.to_string() }), text);
    Ok(())
}

fn rotate(root: &Path, out: &Out) -> Result<()> {
    let home = Home::open(root)?;
    let chain = network::stored_chain(&home)?;
    let member = network::own_id(&home, &chain)?;
    let (next, following) = (home.next_author()?.public(), home.following_author()?.public());
    let wish = Rotation {
        chorale_rotation: 1,
        member: member.to_string(),
        key: next.to_string(),
        next: KeyHash::of(&following).to_string(),
        head: head(&home, &member)?,
    };
    out.record(&serde_json::to_value(wish)?);
    Ok(())
}

/// The home's newest record: as its store has it, or as the node that holds the store says.
fn head(home: &Home, member: &MemberId) -> Result<Option<At>> {
    if !home.root().join("store").is_dir() {
        return Ok(None);
    }
    if let Ok(store) = Store::open(home.root()) {
        let head = store.heads()?.into_iter().rfind(|head| head.member == *member);
        return Ok(head.map(|head| At {
            incarnation: head.incarnation.0,
            seq: head.seq.0,
            record: head.id.to_string(),
        }));
    }
    let status = read_status(home).context("a node holds the store, and has not said yet how far it is; try again")?;
    Ok(status.head.map(|head| At { incarnation: head.incarnation, seq: head.seq, record: head.id }))
}

fn next(root: &Path, out: &Out) -> Result<()> {
    let home = Home::open(root)?;
    let chain = network::stored_chain(&home)?;
    let changed = network::take_up_key(&home, &chain)?;
    let author = home.signers()?.first().context("no author key")?.public();
    let text = if changed {
        format!("the author key is now {author}; the one before it stays in keys/")
    } else {
        format!("nothing to do: the author key is {author}, and the manifest names no other one of this home")
    };
    out.result(&json!({ "author_key": author.to_string(), "changed": changed }), text);
    Ok(())
}

impl Rotation {
    /// Reads a file that somebody sent.
    pub(crate) fn read(path: &Path) -> Result<Wish> {
        let text = read_text(path, 1 << 16)?;
        let name = path.display();
        let this: Self = serde_json::from_str(&text).with_context(|| {
            format!(
                "{name}: no rotation; the member makes one with: chorale key rotate --home ITS-HOME > rotation.json"
            )
        })?;
        ensure!(this.chorale_rotation == 1, "{name}: rotation version {}, wanted 1", this.chorale_rotation);
        let mut key = [0; 32];
        hex::decode_to_slice(&this.key, &mut key).with_context(|| format!("{name}: key {:?}", this.key))?;
        let head = this.head.as_ref().map(|at| {
            let record = at.record.parse::<RecordId>().with_context(|| format!("{name}: head"))?;
            Ok::<_, anyhow::Error>((Incarnation(at.incarnation), Seq(at.seq), record))
        });
        Ok(Wish {
            member: this.member.parse().with_context(|| format!("{name}: member"))?,
            key: PublicKey::admit(&key).with_context(|| format!("{name}: key"))?,
            next: this.next.parse().with_context(|| format!("{name}: next"))?,
            head: head.transpose()?,
        })
    }
}
