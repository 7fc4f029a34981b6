//! `checkpoint consistency` and `checkpoint inclusion`: proofs out of an archive's tiles.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use anyhow::anyhow;
use chorale_protocol::{
    audit::{LogBook, LogNote, Survey},
    log::{Note, ProofFile, Tree, TreeHash, verify_consistency},
};
use serde_json::json;

use super::{Held, asked, exit, logs, show};
use crate::{
    archive,
    args::{CheckpointConsistency, CheckpointInclusion},
    escape::escape,
    evidence::label,
    exit::{Exit, OrExit, Trouble},
    file, json, record, survey,
};

/// The logs meant whose tree is here. The archive is refused if one of them does not verify.
fn trees(survey: &Survey<'_>, named: Option<&str>, path: &Path) -> Result<Vec<(Held, Tree)>, Trouble> {
    let mut trees = Vec::new();
    for member in logs(survey, named) {
        let (mut book, findings) = survey::read(survey.log_book(member), path)?;
        if exit(&findings) == Exit::Failed {
            let said = findings.first().map(|finding| format!("{}: {}: {}", finding.file, finding.code, finding.text));
            return Err(Trouble { exit: Exit::Failed, error: anyhow!("{}", said.unwrap_or_default()) });
        }
        if let Some(tree) = book.tree.take() {
            trees.push(((book, findings), tree));
        }
    }
    if trees.is_empty() {
        let error = anyhow!("{} has no tiles of such a log", path.display());
        return Err(Trouble { exit: Exit::Incomplete, error });
    }
    Ok(trees)
}

/// A head of this size was signed, so that the proof is of something that its owner said.
fn signed(book: &LogBook, tree: &Tree, size: u64) -> Result<(), Trouble> {
    let of_tree = |note: &&LogNote| tree.root(note.verified.checkpoint.size) == Ok(note.verified.checkpoint.root);
    let sizes: BTreeSet<u64> = book.all().filter(of_tree).map(|note| note.verified.checkpoint.size).collect();
    if sizes.contains(&size) {
        return Ok(());
    }
    let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    let error = anyhow!("no head with {size} leaves was signed here; there are heads with {} leaves", sizes.join(", "));
    Err(Trouble { exit: Exit::Usage, error })
}

pub(super) fn consistency(args: &CheckpointConsistency) -> Result<Exit, Trouble> {
    let network = args.pin.network()?;
    let archive = archive::open(&args.archive)?;
    let survey = survey::open(&*archive, &args.archive, network)?;
    let trees = trees(&survey, args.log.as_deref(), &args.archive)?;
    let [((book, _), tree)] = trees.as_slice() else {
        let all: Vec<String> = trees.iter().map(|((book, _), _)| book.member.to_string()).collect();
        return Err(anyhow!("--log MEMBER is wanted; there are tiles of the logs of {}", all.join(", "))).or_usage();
    };
    for size in [args.old, args.new] {
        signed(book, tree, size)?;
    }
    let proof = tree.consistency(args.old, args.new).or_usage()?;
    let (old, new) = (tree.root(args.old).or_usage()?, tree.root(args.new).or_usage()?);
    // What is handed out was checked as its reader will check it.
    verify_consistency(args.old, &old, args.new, &new, &proof).or_io()?;
    let hashes: Vec<String> = proof.iter().map(ToString::to_string).collect();
    let text = if args.json {
        let line = json!({
            "schema": json::SCHEMA,
            "type": "consistency",
            "member": book.member.to_string(),
            "old": { "size": args.old, "root": old.to_string() },
            "new": { "size": args.new, "root": new.to_string() },
            "proof": hashes,
        });
        json::lines([line].into_iter())
    } else {
        let mut out = survey::banner(survey.chain().network(), network.is_some());
        // Writing to a string does not fail.
        let name = format!("{} ({})", escape(&label(survey.chain(), &book.member)), book.member);
        let _ = writeln!(out, "The log of {name} with {} leaves continues that with {}.", args.new, args.old);
        let _ = writeln!(out, "\nOld root  {old}\nNew root  {new}\nProof     {} hashes", hashes.len());
        hashes.iter().for_each(|hash| out += &format!("  {hash}\n"));
        out
    };
    file::print(&text).or_io()?;
    Ok(Exit::Passed)
}

/// A head that covers the record, and how to prove it.
struct Found<'a> {
    note: &'a LogNote,
    index: u64,
    path: Vec<TreeHash>,
}

pub(super) fn inclusion(args: &CheckpointInclusion) -> Result<Exit, Trouble> {
    let network = args.pin.network()?;
    let archive = archive::open(&args.archive)?;
    let survey = survey::open(&*archive, &args.archive, network)?;
    let (_, checked) = record::find(&survey, &args.record, &args.archive)?;
    let trees = trees(&survey, args.log.as_deref(), &args.archive)?;
    let asked = asked(survey.chain(), args.witnesses);
    let leaf = TreeHash::leaf(checked.bytes());
    let mut found: Vec<Found<'_>> = trees
        .iter()
        .filter_map(|((book, _), tree)| {
            let index = (0..tree.len()).find(|&index| tree.node(0, index) == Some(leaf))?;
            let enough = |note: &&LogNote| note.verified.cosigners.len() as u64 >= asked;
            let covers = |note: &&LogNote| note.verified.checkpoint.size > index;
            let notes = || {
                book.all()
                    .filter(covers)
                    .filter(|note| tree.root(note.verified.checkpoint.size) == Ok(note.verified.checkpoint.root))
            };
            let size = |note: &&LogNote| note.verified.checkpoint.size;
            let note = notes()
                .filter(enough)
                .min_by_key(size)
                .or_else(|| notes().max_by_key(|note| note.verified.cosigners.len()))?;
            Some(Found { note, index, path: tree.inclusion(index, note.verified.checkpoint.size).ok()? })
        })
        .collect();
    // The first that has enough, else the one with the most.
    found.sort_by_key(|found| std::cmp::Reverse((found.note.verified.cosigners.len() as u64).min(asked)));
    let Some(Found { note, index, path }) = found.into_iter().next() else {
        let error = anyhow!("record {} is in none of these logs", checked.id());
        return Err(Trouble { exit: Exit::Incomplete, error });
    };
    let exit = if (note.verified.cosigners.len() as u64) < asked { Exit::Incomplete } else { Exit::Passed };
    let signed = Note::parse(&note.bytes).or_io()?;
    let proof = ProofFile { record: Some(checked.bytes().to_vec()), index, path, note: signed };
    if let Some(path) = &args.out {
        file::write(path, &proof.to_bytes()).or_io()?;
    }
    let hashes: Vec<String> = proof.path.iter().map(ToString::to_string).collect();
    let text = if args.json {
        let mut value = show::value(&note.verified, survey.chain(), asked);
        value["type"] = json!("inclusion");
        value["record"] = json!(checked.id().to_string());
        value["index"] = json!(index);
        value["proof"] = json!(hashes);
        value["exit"] = json!(exit as u8);
        json::lines([value].into_iter())
    } else {
        let mut out = survey::banner(survey.chain().network(), network.is_some());
        let _ = writeln!(out, "Record {} is leaf {index} of this log.\n", checked.id());
        out += &show::text(&note.verified, survey.chain(), asked);
        let _ = writeln!(out, "Proof       {} hashes", hashes.len());
        hashes.iter().for_each(|hash| out += &format!("  {hash}\n"));
        if exit != Exit::Passed {
            out += "\nUNWITNESSED: too few others cosigned a head that covers it.\n";
        }
        out
    };
    file::print(&text).or_io()?;
    Ok(exit)
}
