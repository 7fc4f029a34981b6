//! `chorale key`: the author key of a home, and the one that follows it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use chorale::{
    config::Home,
    store::{Store, cosigned_head},
};
use chorale_protocol::{
    base::{Incarnation, KeyHash, MemberId, RecordId, Seq},
    code::PublicKey,
    log::{Keyring, Origin},
    manifest::{Chain, LogEnd},
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
    /// Print what governors need to give this member its next key (network propose --rotate): the next public key, and where the
    /// records and the transparency log of the present key end
    Rotate(Rotate),
    /// Make the next key the current one, if the manifest names it. `run` does so by itself
    Next(Place),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Rotate {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
    /// The last record that this member signed with its present key: INCARNATION:SEQ:RECORD. If absent the newest that this home
    /// holds; say it if somebody else has the key, for that record may be theirs
    #[arg(long)]
    head: Option<String>,
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
    /// The newest head of the home's log that others cosigned: the log passes to the next key there.
    log: Option<End>,
}

/// A head of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// Leaves.
    size: u64,
    /// 64 hexadecimal digits.
    root: String,
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
    pub(crate) log: Option<LogEnd>,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        match self.verb {
            Verb::Show(place) => show(&place.home, out),
            Verb::Rotate(args) => rotate(&args, out),
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

fn rotate(args: &Rotate, out: &Out) -> Result<()> {
    let home = Home::open(&args.home)?;
    let chain = network::stored_chain(&home)?;
    let member = network::own_id(&home, &chain)?;
    let (next, following) = (home.next_author()?.public(), home.following_author()?.public());
    let head = match &args.head {
        Some(text) => Some(At::parse(text)?),
        None => head(&home, &member)?,
    };
    if let (Some(At { incarnation, seq, record }), None) = (&head, &args.head) {
        eprintln!(
            "the records of the present key are to end with incarnation {incarnation}, seq {seq}, record {record}: the newest that \
             this home holds. If this member did not sign it, somebody else has the key: give the last own one with --head"
        );
    }
    let wish = Rotation {
        chorale_rotation: 1,
        member: member.to_string(),
        key: next.to_string(),
        next: KeyHash::of(&following).to_string(),
        head,
        log: log_end(&home, &chain, &member)?,
    };
    out.record(&serde_json::to_value(wish)?);
    Ok(())
}

/// The newest head of the home's log that counts: one that others cosigned, or where the log passed to the present key.
fn log_end(home: &Home, chain: &Chain, member: &MemberId) -> Result<Option<End>> {
    let keyring = Keyring::new(chain);
    let cosigned = cosigned_head(home.root(), &keyring)?.map(|head| (head.size, head.root));
    let start = keyring.start(&Origin::new(&chain.network(), member));
    let newest = cosigned.into_iter().chain(start).max_by_key(|(size, _)| *size).filter(|(size, _)| *size > 0);
    Ok(newest.map(|(size, root)| End { size, root: hex::encode(root.0) }))
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

impl At {
    fn parse(text: &str) -> Result<Self> {
        let wanted = || format!("--head: got {text:?}, wanted INCARNATION:SEQ:RECORD");
        let parts: Vec<&str> = text.split(':').collect();
        let [incarnation, seq, record] = parts[..] else { bail!(wanted()) };
        record.parse::<RecordId>().with_context(wanted)?;
        let number = |part: &str| part.parse::<u64>().with_context(wanted);
        Ok(Self { incarnation: number(incarnation)?, seq: number(seq)?, record: record.to_owned() })
    }
}

impl End {
    fn read(&self) -> Result<LogEnd> {
        let mut root = [0; 32];
        hex::decode_to_slice(&self.root, &mut root).context("its root")?;
        Ok(LogEnd { size: self.size, root })
    }
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
            log: this.log.as_ref().map(|end| end.read().with_context(|| format!("{name}: log"))).transpose()?,
        })
    }
}
