//! A tar is read whole or not at all: no byte of it goes unseen, and none is read that is not there.

use std::{io::Cursor, ops::Range};

use bytes::Bytes;
use chorale_protocol::audit::{Archive, MemoryArchive, Options, layout::Name, replay};

use super::{choices::Choices, network::chain, tarball::Tarball};

/// Bytes of a header.
const BLOCK: usize = 512;

/// One choice: a tar follows as it is, or with its checksums put right; a second one picks a byte to change.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let (right, at) = (choices.byte() & 1 == 1, choices.offset(choices.0.len()));
    let mut bytes = choices.0.to_vec();
    if right {
        headers(&mut bytes, |header| {
            let (before, after) = (header[..148].iter(), header[156..].iter());
            let sum = before.chain(after).map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        });
    }
    let Ok(tar) = open(&bytes) else { return false };
    let files = tar.files().unwrap();
    assert!(files.is_sorted_by(|a, b| a.0 < b.0));
    let mut copy = MemoryArchive::default();
    for (name, length) in &files {
        assert!(name.len() < 1024);
        if Name::parse(name).is_none() {
            copy.insert(name.clone(), Bytes::new());
            continue;
        }
        let content = tar.read(name, *length).unwrap();
        assert_eq!(content.len() as u64, *length);
        assert!(length.checked_sub(1).is_none_or(|less| tar.read(name, less).is_err()));
        copy.insert(name.clone(), content);
    }
    // What is read from the tar is judged as the same files elsewhere.
    let options = Options {
        network: chain().network(),
        anchors: Vec::new(),
        allow_unanchored: true,
        allow_pruned: false,
        recompute: true,
        threads: 1,
        witnesses: 0,
        heads_only: false,
    };
    assert_eq!(replay(&tar, &options, &|_, _| {}).unwrap(), replay(&copy, &options, &|_, _| {}).unwrap());
    // One changed bit outside the files is seen.
    let mut outside = vec![true; bytes.len()];
    for range in contents(&bytes) {
        let end = range.end.min(bytes.len());
        outside[range.start.min(end)..end].fill(false);
    }
    if outside.get(at) == Some(&true) {
        bytes[at] ^= 1;
        assert!(open(&bytes).is_err(), "a change of byte {at} goes unseen");
    }
    true
}

fn open(bytes: &[u8]) -> std::io::Result<Tarball<Cursor<&[u8]>>> {
    Tarball::of(Cursor::new(bytes), bytes.len() as u64)
}

/// Visits every header, and gives the range of the content behind each but a folder's, with the header's kind.
fn headers(bytes: &mut [u8], mut visit: impl FnMut(&mut [u8])) -> Vec<(u8, Range<usize>)> {
    let (mut at, mut found) = (0_usize, Vec::new());
    while let Some(header) = bytes.get_mut(at..at.saturating_add(BLOCK)) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        visit(header);
        let header = ::tar::Header::from_byte_slice(bytes[at..at + BLOCK].try_into().unwrap());
        let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let start = at + BLOCK;
        let end = start.saturating_add(size);
        found.push((header.as_bytes()[156], start..end));
        at = end.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX);
    }
    found
}

/// Where files and what is no plain file have their content, and the times before them.
fn contents(bytes: &[u8]) -> Vec<Range<usize>> {
    let found = headers(&mut bytes.to_vec(), |_| {});
    found.into_iter().filter(|(kind, _)| *kind != b'5').map(|(_, range)| range).collect()
}
