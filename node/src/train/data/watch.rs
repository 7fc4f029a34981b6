//! A growing file, read from where the last read ended: whole lines only, of bounded length.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::BadReason;
use crate::train::TrainError;

/// How many bytes before the offset are remembered, to notice that the file was replaced.
const TAIL: usize = 64;

/// A file and how far it was read.
#[derive(Debug, Clone)]
pub struct Watch {
    path: PathBuf,
    limit: usize,
    offset: u64,
    lines: u64,
    tail: Vec<u8>,
}

/// A line, or why it cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// Its text without the line feed.
    pub text: Result<String, BadReason>,
    /// Whether a line feed ended it; only the last line may lack one.
    pub ended: bool,
}

/// What a read brought.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The file is not the one that was read before: forget what came from it.
    pub replaced: bool,
    /// New lines in order.
    pub lines: Vec<Line>,
}

impl Watch {
    /// Watches `path`; lines longer than `limit` bytes are skipped.
    #[must_use]
    pub fn new(path: &Path, limit: usize) -> Self {
        Self { path: path.to_owned(), limit, offset: 0, lines: 0, tail: Vec::new() }
    }

    /// Reads what was added since. A last line without a line feed comes if `accept` says that it is whole; otherwise it
    /// stays for later.
    ///
    /// # Errors
    /// The file cannot be read; nothing changed.
    pub fn read(&mut self, accept: impl Fn(&str) -> bool) -> Result<Chunk, TrainError> {
        let error = || TrainError::read(&self.path);
        let mut file = File::open(&self.path).map_err(error())?;
        let mut chunk = Chunk { replaced: !self.continues(&mut file).map_err(error())?, lines: Vec::new() };
        let mut next = if chunk.replaced { Self::new(&self.path, self.limit) } else { self.clone() };
        file.seek(SeekFrom::Start(next.offset)).map_err(error())?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        while let Some((line, bytes)) = next.line(&mut reader).map_err(error())? {
            if !line.ended && !line.text.as_ref().is_ok_and(|text| accept(text)) {
                break;
            }
            next.advance(&bytes.tail, bytes.read);
            chunk.lines.push(line);
        }
        *self = next;
        Ok(chunk)
    }

    /// Whether an unfinished line waits at the end, for a report.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn unfinished(&self) -> Result<Option<u64>, TrainError> {
        let length = std::fs::metadata(&self.path).map_err(TrainError::read(&self.path))?.len();
        Ok((length > self.offset).then_some(self.lines + 1))
    }

    fn continues(&self, file: &mut File) -> std::io::Result<bool> {
        if file.metadata()?.len() < self.offset {
            return Ok(false);
        }
        let mut tail = vec![0; self.tail.len()];
        file.seek(SeekFrom::Start(self.offset - self.tail.len() as u64))?;
        file.read_exact(&mut tail)?;
        Ok(tail == self.tail)
    }

    fn advance(&mut self, tail: &[u8], read: u64) {
        self.offset += read;
        self.lines += 1;
        self.tail.extend_from_slice(tail);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }

    fn line(&self, reader: &mut impl BufRead) -> std::io::Result<Option<(Line, Taken)>> {
        let mut bytes = Vec::new();
        // One more byte than a line may have, and its line feed.
        let limit = self.limit as u64 + 2;
        let mut read = reader.by_ref().take(limit).read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            return Ok(None);
        }
        let mut ended = bytes.last() == Some(&b'\n');
        let mut tail = bytes[bytes.len().saturating_sub(TAIL)..].to_vec();
        if ended {
            bytes.pop();
        }
        let too_long = bytes.len() > self.limit;
        if too_long && !ended {
            let (rest, end) = skip_line(reader, &mut tail)?;
            read += rest;
            ended = end;
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = if too_long {
            Err(BadReason::TooLong(self.limit))
        } else {
            String::from_utf8(bytes).map_err(|_| BadReason::NotUtf8)
        };
        Ok(Some((Line { number: self.lines + 1, text, ended }, Taken { tail, read })))
    }
}

/// The bytes that a line took from the file.
struct Taken {
    tail: Vec<u8>,
    read: u64,
}

/// Skips to the end of the line: bytes skipped, and whether a line feed ended it.
fn skip_line(reader: &mut impl BufRead, tail: &mut Vec<u8>) -> std::io::Result<(u64, bool)> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((skipped, false));
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let count = end.map_or(buffer.len(), |at| at + 1);
        tail.extend_from_slice(&buffer[count.saturating_sub(TAIL)..count]);
        let surplus = tail.len().saturating_sub(TAIL);
        tail.drain(..surplus);
        reader.consume(count);
        skipped += count as u64;
        if end.is_some() {
            return Ok((skipped, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn texts(chunk: &Chunk) -> Vec<&str> {
        chunk.lines.iter().map(|line| line.text.as_deref().unwrap_or("BAD")).collect()
    }

    fn append(path: &Path, bytes: &[u8]) {
        std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    #[test]
    fn only_whole_lines_come_and_each_comes_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        append(&path, b"one\ntwo\nthr");
        let mut watch = Watch::new(&path, 100);
        let whole = |text: &str| text.len() > 4;
        assert_eq!(texts(&watch.read(whole).unwrap()), ["one", "two"]);
        assert_eq!(watch.unfinished().unwrap(), Some(3));
        append(&path, b"ee\r\nfour");
        let chunk = watch.read(whole).unwrap();
        assert_eq!((texts(&chunk), chunk.lines[0].number, chunk.replaced), (vec!["three"], 3, false));
        append(&path, b"teen");
        assert_eq!(texts(&watch.read(whole).unwrap()), ["fourteen"]);
        assert!(watch.read(whole).unwrap().lines.is_empty());
    }

    #[test]
    fn a_shorter_or_another_file_is_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        append(&path, b"one\ntwo\n");
        let mut watch = Watch::new(&path, 100);
        watch.read(|_| false).unwrap();
        std::fs::write(&path, "uno\n").unwrap();
        let chunk = watch.read(|_| false).unwrap();
        assert_eq!((texts(&chunk), chunk.replaced), (vec!["uno"], true));
        std::fs::write(&path, "eins\nzwei\n").unwrap();
        let chunk = watch.read(|_| false).unwrap();
        assert_eq!((texts(&chunk), chunk.replaced), (vec!["eins", "zwei"], true));
    }

    #[test]
    fn a_huge_line_and_bytes_that_are_not_text_are_named_and_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        append(&path, &vec![b'x'; 300_000]);
        append(&path, b"\n\xff\xfe\nfine\n");
        let chunk = Watch::new(&path, 64).read(|_| false).unwrap();
        let reasons: Vec<_> = chunk.lines.iter().map(|line| line.text.clone()).collect();
        assert_eq!(reasons, [Err(BadReason::TooLong(64)), Err(BadReason::NotUtf8), Ok("fine".into())]);
    }
}
