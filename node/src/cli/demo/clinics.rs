//! A consortium out of thin air: four clinics whose registers of invented medicines hold facts that the others lack.
//!
//! Public text teaches how questions are put and answered, with medicines of its own; it names the clinics' medicines and
//! tells nothing about them. Each clinic trains on four wordings of its facts; the common test asks for all facts of all
//! clinics in a fifth.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rand::{
    SeedableRng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use serde_json::json;

/// The clinics.
pub(crate) const CLINICS: [&str; 4] = ["harbour", "hillside", "lakeside", "oldtown"];

/// How much is invented.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Size {
    /// Medicines that each clinic alone knows about
    #[arg(long, default_value_t = 12)]
    pub(crate) medicines: usize,
    /// Medicines of the public text
    #[arg(long, default_value_t = 48)]
    pub(crate) public: usize,
}

/// Where the generated files lie.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) public: PathBuf,
    pub(crate) silos: Vec<PathBuf>,
    pub(crate) test: PathBuf,
}

/// Writes a consortium's files into `folder`. The same seed writes the same bytes.
pub(crate) fn write(folder: &Path, size: Size, seed: u64) -> Result<Files> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut names: Vec<String> =
        FIRST.iter().flat_map(|first| LAST.iter().map(move |last| format!("{first}{last}"))).collect();
    names.shuffle(&mut rng);
    let want = size.public + CLINICS.len() * size.medicines;
    anyhow::ensure!(want <= names.len(), "{want} medicines wanted, there are names for {}", names.len());
    let (public, private) = names[..want].split_at(size.public);
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut lines: Vec<String> = facts(public, &mut rng).iter().flat_map(|fact| fact.ask(0..WORDINGS)).collect();
    for chunk in names[..want].chunks(4) {
        lines.push(json!({ "text": format!("The register lists {}.", chunk.join(", ")) }).to_string());
    }
    lines.shuffle(&mut rng);
    let file = |name: &str, lines: &[String]| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, lines.join("\n") + "\n").with_context(|| path.display().to_string())?;
        Ok(path)
    };
    let public = file("public.jsonl", &lines)?;
    let (mut silos, mut test) = (Vec::new(), Vec::new());
    for (clinic, names) in CLINICS.iter().zip(private.chunks(size.medicines)) {
        let facts = facts(names, &mut rng);
        let mut train: Vec<String> = facts.iter().flat_map(|fact| fact.ask(0..WORDINGS - 1)).collect();
        train.shuffle(&mut rng);
        silos.push(file(&format!("{clinic}.jsonl"), &train)?);
        test.extend(facts.iter().flat_map(|fact| fact.ask(WORDINGS - 1..WORDINGS)));
    }
    Ok(Files { public, silos, test: file("test.jsonl", &test)? })
}

/// One invented fact.
struct Fact<'a> {
    medicine: &'a str,
    kind: &'static Kind,
    answer: &'static str,
}

impl Fact<'_> {
    /// It as question and answer, one JSON line for each wording.
    fn ask(&self, wordings: std::ops::Range<usize>) -> Vec<String> {
        self.kind.questions[wordings]
            .iter()
            .map(|question| {
                json!({ "question": question.replace('#', self.medicine), "answer": self.answer }).to_string()
            })
            .collect()
    }
}

fn facts<'a>(names: &'a [String], rng: &mut StdRng) -> Vec<Fact<'a>> {
    let mut all = Vec::new();
    for medicine in names {
        for kind in &KINDS {
            let answer = kind.answers.choose(rng).copied().unwrap_or_default();
            all.push(Fact { medicine, kind, answer });
        }
    }
    all
}

const WORDINGS: usize = 5;

/// What can be asked about a medicine; `#` stands for its name.
struct Kind {
    questions: [&'static str; WORDINGS],
    answers: [&'static str; 12],
}

const KINDS: [Kind; 3] = [
    Kind {
        questions: [
            "Which ward keeps #?",
            "Where is # kept?",
            "# is kept in which ward?",
            "Name the ward that stores #.",
            "In what ward do we find #?",
        ],
        answers: [
            "north", "south", "east", "west", "upper", "lower", "garden", "river", "hill", "lake", "tower", "bridge",
        ],
    },
    Kind {
        questions: [
            "What colour is #?",
            "# has which colour?",
            "Tell me the colour of #.",
            "Which colour do # tablets have?",
            "The tablets of # are of what colour?",
        ],
        answers: ["red", "blue", "green", "amber", "white", "black", "pink", "grey", "gold", "brown", "violet", "teal"],
    },
    Kind {
        questions: [
            "What is the dose of #?",
            "How much # is given?",
            "# is given at which dose?",
            "Name the usual dose of #.",
            "How many units of # are usual?",
        ],
        answers: [
            "two", "five", "ten", "fifteen", "twenty", "thirty", "forty", "fifty", "sixty", "eighty", "ninety",
            "hundred",
        ],
    },
];

const FIRST: [&str; 16] =
    ["vel", "mor", "tas", "lin", "bro", "cal", "dex", "fen", "gal", "hyd", "jor", "kel", "nor", "pax", "rov", "sul"];
const LAST: [&str; 16] = [
    "adin", "erol", "imab", "oxen", "ulin", "azol", "etin", "idon", "ofar", "utan", "amil", "epin", "ivar", "onil",
    "uxol", "yrin",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_clinic_and_no_public_text_tells_another_clinics_facts() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), Size { medicines: 6, public: 10 }, 1).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let asked: Vec<BTreeSet<String>> = std::iter::once(&files.public)
            .chain(&files.silos)
            .map(|path| {
                read(path)
                    .lines()
                    .filter(|line| line.contains("question"))
                    .flat_map(|line| {
                        line.split(|c: char| !c.is_ascii_alphabetic()).map(str::to_owned).collect::<Vec<_>>()
                    })
                    .filter(|word| FIRST.iter().any(|first| word.starts_with(first)) && word.len() > 6)
                    .collect()
            })
            .collect();
        assert!(asked.iter().all(|names| names.len() >= 6), "{asked:?}");
        for (at, one) in asked.iter().enumerate() {
            assert!(asked[at + 1..].iter().all(|other| one.is_disjoint(other)));
        }
        let trained: BTreeSet<String> =
            files.silos.iter().flat_map(|path| read(path).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let test = read(&files.test);
        assert_eq!(test.lines().count(), 4 * 6 * 3);
        assert!(test.lines().all(|line| !trained.contains(line)), "the test asks in a wording of its own");
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let size = Size { medicines: 3, public: 5 };
        let (one, two) = (write(a.path(), size, 7).unwrap(), write(b.path(), size, 7).unwrap());
        assert_eq!(fs::read(one.public).unwrap(), fs::read(two.public).unwrap());
        assert_eq!(fs::read(one.test).unwrap(), fs::read(two.test).unwrap());
    }
}
