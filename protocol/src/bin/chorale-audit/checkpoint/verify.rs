//! `checkpoint verify`: a note, a proof file, or the logs of an archive.

use std::{fmt::Write, path::Path};

use anyhow::anyhow;
use chorale_protocol::{
    base::NetworkId,
    feed::{Refusal, check_despite_cut},
    log::{Keyring, PROOF_FILE_BYTES, ProofFile, Verified, verify as verify_note},
    manifest::Chain,
};
use serde_json::json;

use super::{Held, asked, exit, logs, show};
use crate::{
    archive,
    args::CheckpointVerify,
    chain,
    escape::escape,
    evidence,
    exit::{Exit, OrExit, Trouble},
    file, json,
    manifest::is_archive,
    survey,
    table::Table,
};

pub(super) fn verify(args: &CheckpointVerify) -> Result<Exit, Trouble> {
    if is_archive(&args.path)? {
        return archive(args);
    }
    let chain = chain::of(&args.pin, args.archive.as_deref(), &args.manifest)?;
    let bytes = file::read(&args.path, PROOF_FILE_BYTES as u64).or_io()?;
    let asked = asked(&chain, args.witnesses);
    let failed = |code: &str, error: &dyn std::fmt::Display| Trouble {
        exit: Exit::Failed,
        error: anyhow!("{}: {code}: {error}", args.path.display()),
    };
    let (verified, record) = if ProofFile::is_one(&bytes) {
        let (verified, record) = proof(&bytes, &chain, &args.path)?;
        (verified, Some(record))
    } else {
        (verify_note(&bytes, &Keyring::new(&chain)).map_err(|error| failed(error.code(), &error))?, None)
    };
    let exit = if (verified.cosigners.len() as u64) < asked { Exit::Incomplete } else { Exit::Passed };
    let text = if args.json {
        let mut value = show::value(&verified, &chain, asked);
        value["record"] = json!(record.as_ref().map(|(id, _)| id));
        value["index"] = json!(record.as_ref().map(|(_, index)| index));
        value["exit"] = json!(exit as u8);
        json::lines([value].into_iter())
    } else {
        let what = record.map_or_else(
            || "The checkpoint verifies.\n\n".to_owned(),
            |(id, index)| format!("Record {id} is leaf {index} of this log.\n\n"),
        );
        let end = if exit == Exit::Passed { "" } else { "\nUNWITNESSED: too few others cosigned it.\n" };
        what + &show::text(&verified, &chain, asked) + end
    };
    file::print(&text).or_io()?;
    Ok(exit)
}

/// A proof file: its note, and the id and leaf of the record in it, which must be one of this network.
fn proof(bytes: &[u8], chain: &Chain, path: &Path) -> Result<(Verified, (String, u64)), Trouble> {
    let failed = |exit, code: &str, error: &dyn std::fmt::Display| Trouble {
        exit,
        error: anyhow!("{}: {code}: {error}", path.display()),
    };
    let proof = ProofFile::parse(bytes).map_err(|error| failed(Exit::Failed, error.code(), &error))?;
    let Some(envelope) = &proof.record else {
        let error = anyhow!("{}: without the record as extra data there is nothing to prove", path.display());
        return Err(Trouble { exit: Exit::Incomplete, error });
    };
    let verified = proof.verify(envelope, &Keyring::new(chain));
    let verified = verified.map_err(|error| failed(Exit::Failed, error.code(), &error))?;
    let checked = check_despite_cut(envelope.clone().into(), chain).map_err(|refusal| {
        let later = matches!(refusal, Refusal::NeedsManifest { .. } | Refusal::Unsupported { .. });
        failed(if later { Exit::Incomplete } else { Exit::Failed }, refusal.code(), &refusal)
    })?;
    Ok((verified, (checked.id().to_string(), proof.index)))
}

fn archive(args: &CheckpointVerify) -> Result<Exit, Trouble> {
    let network = args.pin.network()?;
    let archive = archive::open(&args.path)?;
    let survey = survey::open(&*archive, &args.path, network)?;
    let mut books = Vec::new();
    for member in logs(&survey, None) {
        books.push(survey::read(survey.log_book(member), &args.path)?);
    }
    let worst = books.iter().map(|(_, findings)| exit(findings)).max_by_key(|exit| match exit {
        Exit::Failed => 2,
        Exit::Passed => 0,
        _ => 1,
    });
    // Nothing checked is never a pass.
    let exit = worst.unwrap_or(Exit::Incomplete);
    let (chain, pinned) = (survey.chain(), network.is_some());
    let text = if args.json { lines(&books, chain, exit) } else { table(&books, chain, (chain.network(), pinned)) };
    file::print(&text).or_io()?;
    Ok(exit)
}

fn table(books: &[Held], chain: &Chain, (network, pinned): (NetworkId, bool)) -> String {
    let mut out = survey::banner(network, pinned);
    let mut table = Table::new(2, &["log of", "id", "leaves", "notes", "cosigners", "tiles"]);
    for (book, _) in books {
        let newest = book.checkpoint.as_ref().map(|note| &note.verified);
        let number = |of: Option<u64>| of.map_or_else(|| "-".to_owned(), |number| number.to_string());
        table.row([
            evidence::label(chain, &book.member),
            book.member.short(),
            number(newest.map(|newest| newest.checkpoint.size)),
            book.notes.len().to_string(),
            number(newest.map(|newest| newest.cosigners.len() as u64)),
            if book.tree.is_some() { "give the root" } else { "-" }.to_owned(),
        ]);
    }
    out += &table.text();
    // Writing to a string does not fail.
    for finding in books.iter().flat_map(|(_, findings)| findings) {
        let severity = json::severity(finding.severity).to_uppercase();
        let _ = writeln!(out, "\n{severity} {} {}", finding.code, escape(&finding.text));
        let _ = writeln!(out, "  where    {}", escape(&finding.file));
    }
    let _ = match books {
        [] => writeln!(out, "\nThere is no log in this archive."),
        _ => writeln!(out, "\n{} logs; `chorale-audit verify` says which records they cover.", books.len()),
    };
    out
}

fn lines(books: &[Held], chain: &Chain, exit: Exit) -> String {
    let mut all = Vec::new();
    for (book, findings) in books {
        for note in book.all() {
            let mut value = show::value(&note.verified, chain, asked(chain, None));
            value["file"] = json!(note.file);
            all.push(value);
        }
        all.extend(findings.iter().map(json::finding));
    }
    let trees = books.iter().filter(|(book, _)| book.tree.is_some()).count();
    all.push(json!({
        "schema": json::SCHEMA,
        "type": "summary",
        "network": chain.network().to_string(),
        "logs": books.len(),
        "trees": trees,
        "exit": exit as u8,
    }));
    json::lines(all.into_iter())
}
