//! docs/AUDITING.md and the program say the same.

use std::collections::BTreeSet;

use chorale_protocol::audit::codes;

use crate::{Stage, run, text};

const DOCUMENT: &str = include_str!("../../../docs/AUDITING.md");

/// Whether a word is written like a finding's code.
fn is_code(word: &str) -> bool {
    word.split_once('-').is_some_and(|(kind, number)| {
        kind.len() >= 3
            && kind.bytes().all(|byte| byte.is_ascii_uppercase())
            && number.len() == 3
            && number.parse::<u16>().is_ok()
    })
}

#[test]
fn every_code_stands_in_the_document_with_its_meaning_and_no_other_does() {
    let words = DOCUMENT.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    let said: BTreeSet<&str> = words.filter(|word| is_code(word) && *word != "SHA-256").collect();
    let known: BTreeSet<&str> = codes::all().map(|entry| entry.code).collect();
    assert_eq!(said, known);
    for entry in codes::all() {
        let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| {} |", entry.code)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", entry.code));
        assert!(row.contains(entry.meaning), "{row} lacks {:?}", entry.meaning);
    }
}

#[test]
fn every_command_of_the_program_is_described() {
    let help = text(&run(&["--help"]).1.stdout);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let mut count = 0;
    for name in names.filter(|name| *name != "help") {
        assert!(DOCUMENT.contains(&format!("chorale-audit {name}")), "{name} is not described");
        count += 1;
    }
    assert!(count >= 12, "{count} commands in {help}");
}

#[test]
fn every_column_of_a_csv_is_described_and_no_other_is() {
    let stage = Stage::with_release(2, 1);
    let shown = text(&run(&["export", &stage.folder, "--as", "csv"]).1.stdout);
    let rows = DOCUMENT.lines().skip_while(|line| !line.starts_with("| column |")).skip(2);
    let described = rows.take_while(|line| line.starts_with("| ")).filter_map(|line| line.split('`').nth(1));
    assert_eq!(described.collect::<Vec<_>>().join(","), shown.lines().next().unwrap());
}
