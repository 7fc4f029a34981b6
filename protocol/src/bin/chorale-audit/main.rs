//! `chorale-audit`: checks an archive of a network, offline.
//!
//! Exit codes: 0 every check ran and passed · 1 a check failed · 2 usage · 3 nothing failed, but incomplete, unsupported or
//! unanchored · 4 the archive cannot be read. Results go to stdout, progress and errors to stderr.

mod anchors;
mod archive;
mod args;
mod chain;
mod checkpoint;
mod contributions;
mod diff;
mod digest;
mod dsse;
mod escape;
mod evidence;
mod exit;
mod export;
mod file;
mod folder;
mod forks;
mod human;
mod json;
mod key;
mod lineage;
mod list;
mod manifest;
mod mapped;
mod pin;
mod progress;
mod record;
mod report;
mod spare;
mod summary;
mod survey;
mod svg;
mod table;
mod tarball;
mod verify;
mod when;
mod words;

use std::{env, process::ExitCode};

use args::{Args, Command, EvidenceCommand};
use clap::Parser;
use exit::{Exit, Trouble};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; what follows a usage error is still JSON for who asked for it.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Passed };
            let _ = error.print();
            // `lineage --as json` asks for it, too.
            let wants_json = |arg: &std::ffi::OsString| arg == "--json" || arg == "json" || arg == "--as=json";
            if exit == Exit::Usage && env::args_os().skip(1).any(|arg| wants_json(&arg)) {
                json::error(exit, &error.kind().to_string());
            }
            return exit.into();
        }
    };
    let wants_json = args.command.wants_json();
    let result = match &args.command {
        Command::Verify(args) => verify::verify(args),
        Command::Contributions(args) => contributions::contributions(args),
        Command::Lineage(args) => lineage::lineage(args),
        Command::Forks(args) => forks::forks(args),
        Command::Evidence(EvidenceCommand::Verify(args)) => evidence::verify(args),
        Command::Manifest(command) => manifest::run(command),
        Command::Checkpoint(command) => checkpoint::run(command),
        Command::Diff(args) => diff::diff(args),
        Command::Digest(args) => digest::digest(args),
        Command::Export(args) => export::export(args),
        Command::Report(args) => report::report(args),
        Command::Key(command) => key::run(command),
        Command::Explain { code } => list::explain(code.as_deref()),
        Command::Feed { archive, feed } => list::feeds(archive, feed.as_deref()),
        Command::Record { archive, id, json } => record::record(archive, id, *json),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(Trouble { exit, error }) => {
            let text = escape::escape(&format!("{error:#}"));
            eprintln!("chorale-audit: {text}");
            if wants_json {
                json::error(exit, &text);
            }
            exit.into()
        }
    }
}
