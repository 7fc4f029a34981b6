//! What is handed over as an archive and is none is named, with what to do about it.

use std::{fs, path::Path};

use crate::{Stage, lines, run, text};

#[test]
fn what_is_packed_in_another_way_is_named_with_what_unpacks_it() {
    let stage = Stage::new(|_, _| {});
    let tar = fs::read(&stage.tar).unwrap();
    for (name, magic, says) in [
        (
            "a.tar.gz",
            &b"\x1f\x8b\x08\0"[..],
            "compressed with gzip; an archive is a folder or a plain tar: unpack it with `gunzip --keep`",
        ),
        ("a.tar.bz2", b"BZh91AY", "bzip2"),
        ("a.tar.xz", b"\xfd7zXZ\0", "xz"),
        ("a.tar.zst", b"\x28\xb5\x2f\xfd", "zstd"),
        ("a.zip", b"PK\x03\x04\x14", "a zip"),
    ] {
        let path = stage.path(name);
        fs::write(&path, [magic, &tar[..]].concat()).unwrap();
        for command in [
            &["verify", &path, "--network", &stage.network][..],
            &["feed", &path],
            &["manifest", "verify", &path],
            &["checkpoint", "verify", &path],
            &["diff", &path, &stage.tar],
        ] {
            let (code, output) = run(command);
            let said = text(&output.stderr);
            assert!(code == Some(4) && said.contains(says) && said.contains(name), "{command:?}: {said}");
        }
    }
}

#[test]
fn an_archive_in_a_folder_of_its_own_is_recognised_in_a_tar_and_in_a_folder() {
    let stage = Stage::new(|_, _| {});
    let path = stage.path("nested.tar");
    let mut builder = tar::Builder::new(fs::File::create(&path).unwrap());
    builder.append_dir_all("handed-over", &stage.folder).unwrap();
    builder.into_inner().unwrap();
    let (code, output) = stage.verify_at(&path, &["--json"]);
    let said = text(&output.stderr);
    assert_eq!((code, lines(&output)[0]["exit"].as_u64()), (Some(4), Some(4)), "{said}");
    assert!(said.contains("lies in a folder, \"handed-over\"") && said.contains("tar -C handed-over"), "{said}");
    // As it says: unpacked, and packed anew.
    let nested = stage.path("outer");
    fs::create_dir(&nested).unwrap();
    let inner = Path::new(&nested).join("inner");
    fs::rename(&stage.folder, &inner).unwrap();
    let (code, output) = run(&["feed", &nested]);
    assert!(code == Some(4) && text(&output.stderr).contains("outer/inner"), "{}", text(&output.stderr));
    assert_eq!(run(&["feed", inner.to_str().unwrap()]).0, Some(0));
}

#[test]
fn an_empty_file_and_a_tar_without_its_end_are_named() {
    let stage = Stage::new(|_, _| {});
    let empty = stage.path("empty.tar");
    fs::write(&empty, b"").unwrap();
    let (code, output) = stage.verify_at(&empty, &[]);
    assert!(code == Some(3) && text(&output.stderr).contains("is empty"), "{}", text(&output.stderr));
    let (cut, whole) = (stage.path("cut.tar"), fs::read(&stage.tar).unwrap());
    fs::write(&cut, &whole[..whole.len() - 1024]).unwrap();
    let (code, output) = stage.verify_at(&cut, &[]);
    assert!(code == Some(4) && text(&output.stderr).contains("cut short behind a file"), "{}", text(&output.stderr));
}
