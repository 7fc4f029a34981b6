//! The public card of a member: what the others need to name it in a manifest.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context as _, Result, bail, ensure};
use chorale::config::{Config, Home, keys, label_is_fine};
use chorale_protocol::{
    base::{KeyHash, MemberId, TransportId},
    code::{AuthorKey, Context, PublicKey, derive},
    manifest::{Member, Role},
};
use libp2p::{PeerId, identity::Keypair};
use serde::{Deserialize, Serialize};

use super::out::Out;

/// Print this member's public card, to send to the others: label, member id, author key, transport peer id, and the hash
/// of the next author key
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
}

/// A card, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    /// Version of this form.
    chorale_card: u32,
    /// What people call the member.
    pub(crate) label: String,
    /// 64 hexadecimal digits.
    member: String,
    /// 64 hexadecimal digits.
    author_key: String,
    /// As libp2p writes it.
    peer_id: String,
    /// The commitment to the next author key: 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let card = Card::of(&home, &load(&home)?.label)?;
        out.record(&serde_json::to_value(card)?);
        Ok(())
    }
}

impl Card {
    /// The card of a home's keys.
    pub(crate) fn of(home: &Home, label: &str) -> Result<Self> {
        let author = keys::author(&home.author_key())?;
        let identity = keys::transport(&home.transport_key())?;
        Ok(Self::new(label, &author, &home.next_author()?, &identity))
    }

    fn new(label: &str, author: &AuthorKey, next: &AuthorKey, identity: &Keypair) -> Self {
        let key = author.public();
        Self {
            chorale_card: 1,
            label: label.to_owned(),
            member: member_id(key).to_string(),
            author_key: key.to_string(),
            peer_id: identity.public().to_peer_id().to_string(),
            next: Some(KeyHash::of(&next.public()).to_string()),
        }
    }

    /// Reads a card that somebody sent.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, 1 << 16)?;
        serde_json::from_str(&text).with_context(|| {
            format!("{}: not a card; get one with: chorale card --home THEIR-HOME > card.json", path.display())
        })
    }

    /// The manifest's entry for it; checks that its parts fit each other.
    pub(crate) fn member(&self, role: Role) -> Result<Member> {
        ensure!(self.chorale_card == 1, "card version {}, wanted 1", self.chorale_card);
        let label = &self.label;
        ensure!(label_is_fine(label), "card label {label:?}, wanted 1 to 64 characters of a-z 0-9 . _ -");
        let mut key = [0; 32];
        if hex::decode_to_slice(&self.author_key, &mut key).is_err() {
            bail!("card of {label}: author_key {:?}, wanted 64 hexadecimal digits", self.author_key);
        }
        let key = PublicKey::admit(&key).with_context(|| format!("card of {label}: author_key"))?;
        let id = member_id(key);
        ensure!(
            id.to_string() == self.member,
            "card of {label}: member {:?} is not the author key's, {id}",
            self.member
        );
        let peer =
            PeerId::from_str(&self.peer_id).with_context(|| format!("card of {label}: peer_id {:?}", self.peer_id))?;
        let next =
            self.next.as_ref().map(|next| next.parse::<KeyHash>().with_context(|| format!("card of {label}: next")));
        let (label, transport) = (label.clone(), vec![TransportId(peer.to_bytes())]);
        Ok(Member { id, label, author_key: key, transport, role, next: next.transpose()?, rank: None })
    }
}

/// The id of a member whose first author key this is.
pub(crate) fn member_id(key: PublicKey) -> MemberId {
    MemberId(derive(Context::MemberId, &[&key.to_bytes()]))
}

/// A home's configuration under this process's environment.
pub(crate) fn load(home: &Home) -> Result<Config> {
    load_with(home, &[])
}

/// The same with flags.
pub(crate) fn load_with(home: &Home, flags: &[chorale::config::Setting]) -> Result<Config> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Ok(Config::load(home, &environment, flags)?)
}

/// A foreign text file of at most `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes).with_context(|| format!("{}: not UTF-8", path.display()))
}

/// A foreign file of at most `limit` bytes.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
    ensure!(bytes.len() as u64 <= limit, "{}: more than {limit} bytes", path.display());
    Ok(bytes)
}
