//! `manifest`: the network's rules, version by version.

use std::{
    fmt::Write,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use chorale_protocol::{
    audit::{Severity, words},
    base::{Incarnation, MemberId, RecordId, Seq, limit},
    manifest::{Chain, Manifest, SignedManifest},
};
use serde_json::{Value, json};

use crate::{
    archive,
    args::{ManifestCommand, ManifestDiff, ManifestShow, ManifestVerify},
    chain,
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    file, json, survey,
    table::Table,
    words::labelled,
};

pub(crate) fn run(command: &ManifestCommand) -> Result<Exit, Trouble> {
    match command {
        ManifestCommand::Show(args) => show(args),
        ManifestCommand::Verify(args) => verify(args),
        ManifestCommand::Diff(args) => diff(args),
    }
}

fn show(args: &ManifestShow) -> Result<Exit, Trouble> {
    let versions = versions(&args.from)?;
    let signed = pick(&versions, args.version, 0)?;
    let text = if args.json { json::lines([value(signed)].into_iter()) } else { text(signed) };
    file::print(&text).or_io()?;
    Ok(Exit::Passed)
}

fn diff(args: &ManifestDiff) -> Result<Exit, Trouble> {
    let versions = versions(&args.from)?;
    let (old, new) = (pick(&versions, args.old, 1)?, pick(&versions, args.new, 0)?);
    let changes = words::changes(&old.manifest, &new.manifest);
    let (from, to) = (old.manifest.version, new.manifest.version);
    let text = if args.json {
        let change = |text: &String| json!({ "schema": json::SCHEMA, "type": "change", "text": text });
        let summary = json!({
            "schema": json::SCHEMA,
            "type": "summary",
            "old": { "version": from, "hash": old.hash().to_string() },
            "new": { "version": to, "hash": new.hash().to_string() },
            "changes": changes.len(),
        });
        json::lines(changes.iter().map(change).chain([summary]))
    } else {
        let mut text = format!("Version {to} against version {from}:\n");
        for change in &changes {
            text += &format!("  - {}\n", escape(change));
        }
        if changes.is_empty() {
            text += "  nothing but the version differs\n";
        }
        text
    };
    file::print(&text).or_io()?;
    Ok(Exit::Passed)
}

fn verify(args: &ManifestVerify) -> Result<Exit, Trouble> {
    let network = args.pin.network()?;
    let (chain, exit, problems) = match archive(&args.from)? {
        Some(path) => {
            let archive = archive::open(path)?;
            let survey = survey::open(&*archive, path, network)?;
            let worst = survey.findings().iter().map(|finding| finding.severity).max();
            let exit = match worst {
                Some(Severity::Failure) => Exit::Failed,
                Some(Severity::Incomplete) => Exit::Incomplete,
                Some(Severity::Warning) | None => Exit::Passed,
            };
            let problem = |finding: &chorale_protocol::audit::Finding| {
                format!("{} {} {}: {}", json::severity(finding.severity), finding.code, finding.file, finding.text)
            };
            (survey.chain().clone(), exit, survey.findings().iter().map(problem).collect())
        }
        None => (chain::from_files(&args.from)?, Exit::Passed, Vec::new()),
    };
    if let Some(network) = network.filter(|network| *network != chain.network()) {
        let error = anyhow!("this is network {}, not {network}", chain.network());
        return Err(Trouble { exit: Exit::Failed, error });
    }
    let text =
        if args.json { lines(&chain, exit, &problems)? } else { table(&chain, network.is_some(), exit, &problems)? };
    file::print(&text).or_io()?;
    Ok(exit)
}

/// The one path, if it is an archive's.
fn archive(paths: &[PathBuf]) -> Result<Option<&Path>, Trouble> {
    let [path] = paths else { return Ok(None) };
    Ok(is_archive(path)?.then_some(path.as_path()))
}

/// Whether a path is a folder, or a file that begins as a tar does.
pub(crate) fn is_archive(path: &Path) -> Result<bool, Trouble> {
    let context = |error: std::io::Error| anyhow!("cannot read {}: {error}", path.display());
    if fs::metadata(path).map_err(context).or_io()?.is_dir() {
        return Ok(true);
    }
    // Of a tar's first header, or the end of one without any; a manifest has neither there, being CBOR of another shape.
    archive::recognise(path)?;
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(512).read_to_end(&mut head)).map_err(context).or_io()?;
    Ok(head.get(257..262) == Some(b"ustar") || head == [0; 512])
}

/// The versions of an archive's verified chain, or those in files, each by itself.
fn versions(paths: &[PathBuf]) -> Result<Vec<SignedManifest>, Trouble> {
    if let Some(path) = archive(paths)? {
        let archive = archive::open(path)?;
        return signed(survey::open(&*archive, path, None)?.chain());
    }
    let one = |path: &PathBuf| {
        let bytes = file::read(path, limit::MANIFEST_BYTES as u64).or_io()?;
        SignedManifest::parse(&bytes).map_err(|error| {
            let error = anyhow!("{}: {}: {error}", path.display(), error.code());
            Trouble { exit: Exit::Failed, error }
        })
    };
    paths.iter().map(one).collect()
}

fn signed(chain: &Chain) -> Result<Vec<SignedManifest>, Trouble> {
    let parsed = chain.signed().into_iter().map(|bytes| SignedManifest::parse(&bytes));
    parsed.collect::<Result<_, _>>().or_io()
}

/// The version of this number; without one, so many before the last.
fn pick(versions: &[SignedManifest], version: Option<u64>, before: usize) -> Result<&SignedManifest, Trouble> {
    let found = match version {
        Some(version) => versions.iter().find(|signed| signed.manifest.version == version),
        None => versions.iter().rev().nth(before),
    };
    let held: Vec<String> = versions.iter().map(|signed| signed.manifest.version.to_string()).collect();
    let wanted = version.map_or_else(|| "a version before the last".to_owned(), |version| format!("version {version}"));
    found.ok_or_else(|| anyhow!("{wanted} is not here; there are: {}", held.join(", "))).or_usage()
}

/// Of how many governors there are votes, and how many it takes.
fn votes(signed: &SignedManifest) -> String {
    let Manifest { governors, threshold, .. } = &signed.manifest;
    let own = signed.votes.iter().filter(|(key, _)| governors.contains(key)).count();
    format!("{own} of {} (needs {threshold})", governors.len())
}

fn text(signed: &SignedManifest) -> String {
    let Manifest { version, governors, members, cuts, policy, handovers, .. } = &signed.manifest;
    let mut out =
        format!("Manifest version {version}, hash {}\nVotes of its governors: {}\n\n", signed.hash(), votes(signed));
    let mut table = Table::new(5, &["governor", "voted"]);
    for key in governors {
        let voted = signed.votes.iter().any(|(voter, _)| voter == key);
        table.row([key.to_string(), if voted { "yes" } else { "no" }.to_owned()]);
    }
    let strangers = signed.votes.iter().filter(|(voter, _)| !governors.contains(voter));
    for (voter, _) in strangers {
        table.row([voter.to_string(), "yes, for the version before".to_owned()]);
    }
    out += &table.text();
    let mut table = Table::new(6, &["member", "role", "short id", "id", "key", "transport ids"]);
    for member in members {
        table.row([
            member.label.clone(),
            words::role(member.role).to_owned(),
            member.id.short(),
            member.id.to_string(),
            member.author_key.to_string(),
            member.transport.len().to_string(),
        ]);
    }
    let _ = write!(out, "\n{}\n", table.text());
    for (label, next) in members.iter().filter_map(|member| Some((&member.label, member.next?))) {
        let _ = writeln!(out, "Next key of {}: of hash {next}", escape(label));
    }
    let named = |member: &MemberId| {
        let label = members.iter().find(|entry| entry.id == *member).map(|entry| entry.label.as_str());
        escape(label.unwrap_or("no longer a participant"))
    };
    for handover in handovers {
        let _ = writeln!(out, "Handover of {}: {}", named(&handover.member), words::handover(handover));
    }
    for cut in cuts {
        let _ = writeln!(out, "Cut of {}: {}", named(&cut.member), words::cut(cut));
    }
    let mut table = Table::new(2, &["policy", ""]);
    words::policy(policy).into_iter().for_each(|(name, value)| table.row([name.to_owned(), value]));
    out + &table.text()
}

fn value(signed: &SignedManifest) -> Value {
    let Manifest { version, governors, threshold, members, cuts, policy, network, prev, handovers } = &signed.manifest;
    let member = |member: &chorale_protocol::manifest::Member| {
        json!({
            "id": member.id.to_string(),
            "label": member.label,
            "role": words::role(member.role),
            "author_key": member.author_key.to_string(),
            "next": member.next.map(|hash| hash.to_string()),
            "transport": member.transport.iter().map(|id| hex::encode(&id.0)).collect::<Vec<_>>(),
        })
    };
    let place = |member: &MemberId, incarnation: Incarnation, last: Option<(Seq, RecordId)>| {
        json!({
            "member": member.to_string(),
            "incarnation": incarnation.0,
            "seq": last.map(|(seq, _)| seq.0),
            "record": last.map(|(_, id)| id.to_string()),
        })
    };
    let policy: serde_json::Map<String, Value> =
        words::policy(policy).into_iter().map(|(name, value)| (name.replace(' ', "_"), value.into())).collect();
    json!({
        "schema": json::SCHEMA,
        "type": "manifest",
        "version": version,
        "hash": signed.hash().to_string(),
        "network": network.map(|id| id.to_string()),
        "prev": prev.map(|hash| hash.to_string()),
        "threshold": threshold,
        "governors": governors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "votes": signed.votes.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>(),
        "members": members.iter().map(member).collect::<Vec<_>>(),
        "cuts": cuts.iter().map(|cut| place(&cut.member, cut.incarnation, cut.last)).collect::<Vec<_>>(),
        "handovers": handovers.iter().map(|one| place(&one.member, one.incarnation, one.last)).collect::<Vec<_>>(),
        "policy": policy,
    })
}

/// What each version does to members' keys, in words.
fn key_events(chain: &Chain) -> impl Iterator<Item = String> {
    let events = |version: u64| chain.key_events(version).iter().map(move |event| (version, event));
    let all = (1..=chain.current().version).flat_map(events);
    all.map(|(version, event)| format!("version {version}: {}", labelled(chain, &words::key_event(event))))
}

fn table(chain: &Chain, pinned: bool, exit: Exit, problems: &[String]) -> Result<String, Trouble> {
    let mut out = survey::banner(chain.network(), pinned);
    let mut table = Table::new(3, &["version", "hash", "votes", "members", "cuts", "new keys"]);
    for signed in signed(chain)? {
        let Manifest { version, members, cuts, handovers, .. } = &signed.manifest;
        table.row([
            version.to_string(),
            signed.hash().to_string(),
            votes(&signed),
            members.len().to_string(),
            cuts.len().to_string(),
            handovers.len().to_string(),
        ]);
    }
    out += &table.text();
    for event in key_events(chain) {
        let _ = writeln!(out, "{}", escape(&event));
    }
    for problem in problems {
        let _ = writeln!(out, "{}", escape(problem));
    }
    let count = chain.signed().len();
    let below = match exit {
        Exit::Passed => ", each by the votes of its own governors and of the version before",
        _ => "; see above for what does not or could not be checked",
    };
    let _ = writeln!(out, "\n{count} versions verify{below}.");
    Ok(out)
}

fn lines(chain: &Chain, exit: Exit, problems: &[String]) -> Result<String, Trouble> {
    let summary = json!({
        "schema": json::SCHEMA,
        "type": "summary",
        "network": chain.network().to_string(),
        "versions": chain.signed().len(),
        "key_events": key_events(chain).collect::<Vec<_>>(),
        "problems": problems,
        "exit": exit as u8,
    });
    Ok(json::lines(signed(chain)?.iter().map(value).chain([summary])))
}
