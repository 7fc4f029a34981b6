//! `record`: a form for people, all that it says as JSON, and one record or none.

use std::process::{Command, Stdio};

use chorale_protocol::{
    base::{Incarnation, Round, Seq},
    feed::{Close, EvidenceSpec, FaultSpec, Flaw, Other, Privacy, Release, Spec},
    fixture,
};

use crate::{SEED, Stage, lines, run, text, world::World};

/// The last update of member 1 claims all that an update can claim, and passes member 2 over.
fn stage() -> (Stage, String) {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let record = world.step_with(1, |draft| {
        let update = draft.update();
        update.loss_before_micro = Some(2_500_000);
        update.loss_after_micro = Some(1_250_001);
        update.privacy = Some(Privacy {
            sigma_milli: 1_100,
            clip_milli: 500,
            rate_micro: 10_000,
            steps: 40,
            epsilon_milli: 3_200,
            delta_log10_milli: 5_000,
        });
        update.dataset = Some([7; 32]);
    });
    let id = record.id().to_string();
    (Stage::of(world, |_, _| {}), id)
}

#[test]
fn people_get_a_form_and_no_debug_output() {
    let (stage, id) = stage();
    let (code, shown) = stage.both(&["record"], &[&id]);
    assert_eq!(code, Some(0), "{shown}");
    for wanted in [
        format!("Record {id}"),
        format!("What              update of round {}", stage.world.published[1].last().unwrap().voice.round),
        "Member            silo-1 (".into(),
        "Place             incarnation 0, seq 2".into(),
        "Time claimed      2023-11-14T22:14:00Z".into(),
        "Loss before       2.500000 nats per token (claimed)".into(),
        "Loss after        1.250001 nats per token (claimed)".into(),
        "epsilon 3.200, delta 10^-5.000, sigma 1.100, clipping norm 0.500, sampling rate 0.010000, 40 noisy steps"
            .into(),
        "with weight 1024/1024".into(),
    ] {
        assert!(shown.contains(&wanted), "{wanted}: {shown}");
    }
    for debug in ["Some(", "{", "RecordId", "Update("] {
        assert!(!shown.contains(debug), "{debug}: {shown}");
    }
}

#[test]
fn every_kind_of_record_has_a_form_with_what_it_says() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let own = world.published[1][0].checked.clone();
    let (accused, incarnation, seq) = (world.authors[2].id, Incarnation(0), Seq(1));
    let named = world.published[2][1].checked.id();
    let bundle = fixture::body(b"no bundle");
    let update_rows = ["Merge hash", "Local steps", "Privacy"];
    let cases = [
        (
            Spec::Release(Release { round: Round(1), label: "v1".into() }),
            vec!["What              release v1 of round 1".into(), format!("Update released   {}", own.id())],
        ),
        (
            Spec::Evidence(EvidenceSpec { accused, incarnation, seq }),
            vec![
                format!("What              evidence against {accused}"),
                format!("Accused           silo-2 ({accused})"),
                "At place          incarnation 0, seq 1".into(),
                format!("Bundle            {} (9 B)", bundle.hash),
            ],
        ),
        (
            Spec::Fault(FaultSpec { accused, incarnation, seq, record: named, flaw: Flaw::Merge }),
            vec![
                format!("What              fault of {accused}: "),
                format!("Accused           silo-2 ({accused})"),
                "At place          incarnation 0, seq 1".into(),
                format!("Record            {named}"),
                format!("Flaw              {}", Flaw::Merge.word()),
            ],
        ),
        (
            Spec::Other(Other { kind: 9, item: vec![0x81, 0x07] }),
            vec!["What              record of unknown kind 9".into(), "Says              8107".into()],
        ),
        (Spec::Close(Close::Left), vec!["What              close: the member left".into()]),
    ];
    let mut forms = Vec::new();
    for (spec, mut rows) in cases {
        let parents = if matches!(spec, Spec::Release(_)) { vec![&own] } else { Vec::new() };
        let body = matches!(spec, Spec::Evidence(_)).then_some(bundle);
        let record = world.write(1, &parents, spec, body);
        rows.extend([
            format!("Record {}", record.id()),
            format!("Place             incarnation 0, seq {}", record.record().seq),
        ]);
        forms.push((record.id().to_string(), rows));
    }
    let stage = Stage::of(world, |_, _| {});
    for (id, rows) in forms {
        let (code, shown) = stage.both(&["record"], &[&id]);
        assert_eq!(code, Some(0), "{shown}");
        for row in rows {
            assert!(shown.lines().any(|line| line.starts_with(&row)), "{row}: {shown}");
        }
        for wrong in update_rows.iter().chain(&["Some(", "{", "RecordId", "Spec("]) {
            assert!(!shown.contains(wrong), "{wrong}: {shown}");
        }
    }
}

#[test]
fn json_says_all_that_the_record_says() {
    let (stage, id) = stage();
    let record = stage.world.records.last().unwrap();
    let Spec::Update(update) = &record.record().spec else { panic!() };
    let line = lines(&run(&["record", &stage.tar, &id, "--json"]).1).remove(0);
    let spec = &line["spec"];
    assert_eq!((&line["kind"], &line["label"], &line["stand"]), (&"update".into(), &"silo-1".into(), &"linked".into()));
    assert_eq!(
        (&spec["round"], &spec["steps"], &spec["examples"]),
        (&update.round.0.into(), &update.steps.into(), &update.examples.into())
    );
    assert_eq!((&spec["loss_before_micro"], &spec["loss_after_micro"]), (&2_500_000.into(), &1_250_001.into()));
    assert_eq!(spec["weights"].as_array().unwrap().len(), record.record().parents.len());
    assert_eq!(
        (spec["merge"].as_str(), spec["skipped"].as_array().map(Vec::len)),
        (Some(&*update.merge.to_string()), Some(update.skipped.len()))
    );
    assert_eq!((&spec["privacy"]["epsilon_milli"], spec["dataset"].as_str()), (&3_200.into(), Some(&*"07".repeat(32))));
    assert_eq!(line["parents"].as_array().unwrap().len(), record.record().parents.len());
    for field in ["network", "key", "prev", "manifest_hash", "codec", "claimed_time", "witnesses"] {
        assert!(!line[field].is_null(), "{field}: {line}");
    }
    assert_eq!(
        (&line["body"]["here"], line["body"]["bytes"].as_u64()),
        (&"yes".into(), record.record().body.map(|body| body.length))
    );
}

#[test]
fn a_beginning_that_means_no_record_or_several_is_refused_and_candidates_are_named() {
    let (world, same) = (0..)
        .find_map(|seed| {
            let world = World::play(8, 8, fixture::policy(), SEED + seed);
            let mut ids: Vec<String> = world.records.iter().map(|record| record.id().to_string()).collect();
            ids.sort();
            let pair = ids.windows(2).find(|pair| pair[0][..4] == pair[1][..4]).map(<[String]>::to_vec);
            pair.map(|pair| (world, pair))
        })
        .unwrap();
    let stage = Stage::of(world, |_, _| {});
    for (prefix, says) in
        [("", "at least 4 digits"), ("abc", "at least 4 digits"), ("00000000", "no record that begins")]
    {
        let (code, output) = run(&["record", &stage.folder, prefix]);
        assert!(code == Some(2) && output.stdout.is_empty(), "{prefix:?}");
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    let (code, output) = run(&["record", &stage.folder, &same[0][..4], "--json"]);
    let said = text(&output.stderr);
    assert_eq!((code, lines(&output)[0]["exit"].as_u64()), (Some(2), Some(2)));
    assert!(said.contains("records begin with") && same.iter().all(|id| said.contains(id)), "{said}");
}

#[test]
fn codes_of_notes_proofs_and_requests_are_explained() {
    for code in ["NOTE-003", "note-013", "PRF-004", "ASK-004"] {
        let (exit, output) = run(&["explain", code]);
        assert!(exit == Some(0) && text(&output.stdout).starts_with(&code.to_uppercase()), "{code}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let (stage, id) = stage();
    for command in [
        &["explain"][..],
        &["feed", &stage.folder],
        &["record", &stage.folder, &id],
        &["record", &stage.folder, &id, "--json"],
        &["verify", &stage.folder, "--network", &stage.network, "--allow-unanchored"],
        &["verify", &stage.folder, "--network", &stage.network, "--allow-unanchored", "--json"],
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_chorale-audit"));
        let mut child = program.args(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{command:?}");
    }
}
