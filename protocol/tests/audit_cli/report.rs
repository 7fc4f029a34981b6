//! `report`: a page for people, a signed summary, and the auditor's key.

use std::fs;

use chorale_protocol::fixture;
use serde_json::Value;

use crate::{SEED, Stage, run, text, world::World};

fn stage() -> Stage {
    Stage::with_release(3, 3)
}

/// Writes the page of an archive and gives exit code and page.
fn page(stage: &Stage, archive: &str, more: &[&str]) -> (Option<i32>, String) {
    let out = stage.path("report.html");
    let (code, output) = run(&[&["report", archive, "--network", &stage.network, "--out", &out], more].concat());
    assert!(code != Some(2) && code != Some(4), "{}", text(&output.stderr));
    (code, fs::read_to_string(out).unwrap())
}

fn anchors(stage: &Stage) -> Vec<&str> {
    stage.anchors.iter().flat_map(|anchor| ["--anchor", anchor]).collect()
}

#[test]
fn a_page_begins_with_the_verdict_and_holds_nothing_from_elsewhere() {
    let stage = stage();
    let (code, html) = page(&stage, &stage.folder, &anchors(&stage));
    assert_eq!(code, Some(0), "{html}");
    let at = |what: &str| html.find(what).unwrap_or_else(|| panic!("no {what} in {html}"));
    let order = [
        "class=\"verdict PASSED\"",
        "What was proved",
        "What this does not prove",
        ">Members<",
        ">Findings<",
        "<svg ",
        "How to check this again",
    ];
    assert!(order.map(at).is_sorted(), "the verdict comes first");
    for foreign in ["<script", "src=", "href=", "@import", "url(", "<link", "<iframe"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    // The one address in it is the name of SVG's namespace.
    assert_eq!(
        html.matches("http").count(),
        html.matches("http://www.w3.org/2000/svg").count() + html.matches("http-equiv").count()
    );
    assert_eq!(html.matches("<svg ").count(), 3, "publications, movement, lineage");
}

#[test]
fn the_same_archive_gives_the_same_page_as_folder_and_tar_on_any_number_of_threads() {
    let stage = stage();
    let first = page(&stage, &stage.folder, &["--threads", "1"]);
    assert_eq!(first, page(&stage, &stage.tar, &["--threads", "7"]));
    assert!(first.0 == Some(3) && first.1.contains("class=\"verdict INCOMPLETE\"") && first.1.contains("unanchored"));
}

#[test]
fn findings_are_shown_and_hostile_names_are_text() {
    let stage = Stage::new(|world, archive| {
        let name = format!("feeds/{}.0", world.authors[1].id);
        let mut bytes = archive.remove(&name).unwrap().to_vec();
        bytes[60] ^= 1;
        archive.insert(name, bytes.into());
        archive.insert("<script>alert(1)<|script>".into(), bytes::Bytes::new());
    });
    let (code, html) = page(&stage, &stage.folder, &["--allow-unanchored"]);
    assert_eq!(code, Some(1));
    assert!(html.contains("class=\"verdict FAILED\"") && html.contains("class=\"finding failure\""), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)") && !html.contains("<script"));
}

#[test]
fn an_archive_without_anything_still_gives_a_page_that_says_so() {
    let stage = Stage::new(|_, archive| *archive = chorale_protocol::audit::MemoryArchive::default());
    let (code, html) = page(&stage, &stage.folder, &["--allow-unanchored"]);
    assert!(code == Some(3) && html.contains("INCOMPLETE") && html.contains("NET-002"), "{html}");
}

#[test]
fn a_signed_summary_verifies_under_its_key_for_its_archive_and_for_no_other() {
    let stage = stage();
    let key = stage.path("key");
    let (code, output) = run(&["key", "new", &key]);
    assert_eq!(code, Some(0), "{}", text(&output.stderr));
    let public = text(&output.stdout).trim().to_owned();
    assert_eq!(text(&run(&["key", "show", &key]).1.stdout).trim(), public);
    let time = ["--sign", &key, "--time", "2026-01-31T12:00:00Z"];
    page(&stage, &stage.folder, &[&anchors(&stage)[..], &time].concat());
    let envelope = stage.path("report.html.dsse.json");
    let signed = fs::read(&envelope).unwrap();
    page(&stage, &stage.tar, &[&anchors(&stage)[..], &time].concat());
    assert_eq!(signed, fs::read(&envelope).unwrap(), "the same bytes from the tar");

    let verify = |more: &[&str]| run(&[&["report", "verify", &envelope, "--key", &public], more].concat());
    let (code, output) = verify(&["--archive", &stage.tar]);
    let shown = text(&output.stdout);
    assert_eq!(code, Some(0), "{shown} {}", text(&output.stderr));
    assert!(
        shown.contains("Verdict   PASSED") && shown.contains("Subject   v1") && shown.contains("2026-01-31T12:00:00Z")
    );
    let other = Stage::of(World::play(3, 2, fixture::policy(), SEED), |_, _| {});
    assert_eq!(verify(&["--archive", &other.folder]).0, Some(1), "another archive");
    let blob = stage.world.published[2][0].checked.record().body.unwrap().hash;
    let path = format!("{}/blobs/{blob}", stage.folder);
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(verify(&["--archive", &stage.folder]).0, Some(1), "one bit of one blob");
    let deployed = stage.path("adapter.safetensors");
    assert_eq!(run(&["export", &stage.tar, "--as", "safetensors", "--of", "v1", "--out", &deployed]).0, Some(0));
    let (code, output) = verify(&["--artifact", &deployed]);
    assert!(code == Some(0) && text(&output.stdout).contains("v1.safetensors"), "{}", text(&output.stderr));
    assert_eq!(verify(&["--artifact", &path]).0, Some(1), "a file that it is not about");
    let stranger = fixture::author(0).public().to_string();
    assert_eq!(run(&["report", "verify", &envelope, "--key", &stranger]).0, Some(1), "another key");
    let mut changed = signed.clone();
    let at = changed.windows(11).position(|bytes| bytes == b"\"payload\":\"").unwrap() + 20;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    fs::write(&envelope, changed).unwrap();
    assert_eq!(verify(&[]).0, Some(1), "another payload");
}

#[test]
fn a_summary_has_both_digests_of_every_subject_and_an_incomplete_audit_is_no_pass() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let stage = stage();
    let key = stage.path("key");
    let public = text(&run(&["key", "new", &key]).1.stdout).trim().to_owned();
    let out = stage.path("untimed.html");
    let untimed = run(&["report", &stage.folder, "--network", &stage.network, "--out", &out, "--sign", &key]);
    assert!(
        untimed.0 == Some(2) && text(&untimed.1.stderr).contains("--time"),
        "a summary says when, and no clock is read"
    );
    page(&stage, &stage.folder, &["--sign", &key, "--time", "2026-01-31T12:00:00Z"]);
    let envelope: Value = serde_json::from_slice(&fs::read(stage.path("report.html.dsse.json")).unwrap()).unwrap();
    let statement = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&statement).unwrap();
    assert_eq!(statement["predicateType"], "https://slsa.dev/verification_summary/v1");
    let subjects = statement["subject"].as_array().unwrap();
    let names: Vec<&str> = subjects.iter().map(|subject| subject["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["archive", "v1", "v1.safetensors"]);
    assert_eq!(subjects[0]["digest"]["dirHash"].as_str().unwrap().len(), 64);
    for subject in &subjects[1..] {
        assert!(["blake3", "sha256"].iter().all(|digest| subject["digest"][digest].as_str().unwrap().len() == 64));
    }
    let predicate = &statement["predicate"];
    assert_eq!(
        (predicate["verificationResult"].as_str(), predicate["chorale:audit/v1"]["verdict"].as_str()),
        (Some("FAILED"), Some("INCOMPLETE"))
    );
    assert_eq!(
        (&predicate["timeVerified"], &predicate["slsaVersion"]),
        (&"2026-01-31T12:00:00Z".into(), &"1.1".into())
    );
    let known =
        ["verifier", "timeVerified", "resourceUri", "policy", "verificationResult", "verifiedLevels", "slsaVersion"];
    for field in predicate.as_object().unwrap().keys().filter(|field| !known.contains(&field.as_str())) {
        assert!(field.contains(':'), "{field} is no field of the specification, and no URI");
    }
    let (code, output) = run(&["report", "verify", &stage.path("report.html.dsse.json"), "--key", &public]);
    assert_eq!(code, Some(3), "{}", text(&output.stdout));
}

#[cfg(unix)]
#[test]
fn a_key_is_private_is_never_replaced_and_is_refused_when_others_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let stage = stage();
    let key = stage.path("key");
    assert_eq!(run(&["key", "new", &key]).0, Some(0));
    let metadata = fs::metadata(&key).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (32, 0o600));
    let before = fs::read(&key).unwrap();
    assert_eq!(run(&["key", "new", &key]).0, Some(4));
    assert_eq!(before, fs::read(&key).unwrap());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, output) = run(&["key", "show", &key]);
    assert!(code == Some(4) && text(&output.stderr).contains("mode 600"));
    let out = stage.path("r.html");
    let time = ["--time", "2026-01-31T12:00:00Z"];
    let sign = ["report", &stage.folder, "--network", &stage.network, "--out", &out, "--sign", &key];
    let sign = run(&[&sign[..], &time].concat());
    assert!(sign.0 == Some(4) && !fs::exists(&out).unwrap(), "before the work");
    let time = run(&["report", &stage.folder, "--network", &stage.network, "--out", &out, "--time", "yesterday"]);
    assert_eq!(time.0, Some(2));
    assert_eq!(run(&["report", &stage.folder, "--network", &stage.network]).0, Some(2), "without --out");
}
