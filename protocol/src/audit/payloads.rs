//! Payloads of an archive, read, checked and kept for a while: each is wanted by its author's walk and by every merge that took it.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    blob::{self, Lack},
    layout::Name,
    source::Source,
};
use crate::{
    adapter::{Checking, Layout, Payload},
    base::BlobHash,
    feed::Body,
    manifest::Codec,
};

/// Bytes that are kept. Walks that go side by side through the same rounds want the same payloads.
const KEPT_BYTES: usize = 256 << 20;
/// Payloads that are kept: few enough to look through.
const KEPT: usize = 256;

/// The payloads that were used last, if merges will want them again.
pub(super) struct Payloads {
    kept: Mutex<Kept>,
    again: bool,
}

#[derive(Default)]
struct Kept {
    /// The one used last stands last.
    payloads: VecDeque<(BlobHash, Payload)>,
    bytes: usize,
}

impl Payloads {
    /// `again`: whether payloads will be wanted again.
    pub(super) fn new(again: bool) -> Self {
        Self { kept: Mutex::default(), again }
    }

    /// The payload that an update names.
    pub(super) fn read(
        &self,
        source: &Source<'_>,
        layout: &Layout,
        body: Body,
        codec: Codec,
    ) -> io::Result<Result<Payload, Lack>> {
        if let Some(payload) = self.kept().find(body, codec) {
            return Ok(Ok(payload));
        }
        let mut checking = Checking::new(layout, codec);
        let bytes = match blob::read_along(source, Name::Blob(body.hash), body, &mut |bytes| checking.take(bytes))? {
            Ok(bytes) => bytes,
            Err(lack) => return Ok(Err(lack)),
        };
        let payload = match checking.finish(bytes) {
            Ok(payload) => payload,
            Err(error) => return Ok(Err(Lack::Wrong(error.code(), error.to_string()))),
        };
        if self.again {
            self.kept().keep(body.hash, payload.clone());
        }
        Ok(Ok(payload))
    }

    /// A panic elsewhere is passed on by the thread it happened in.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&mut self, body: Body, codec: Codec) -> Option<Payload> {
        let fits = |(hash, payload): &(BlobHash, Payload)| {
            *hash == body.hash && payload.codec() == codec && payload.bytes().len() as u64 == body.length
        };
        let found = self.payloads.remove(self.payloads.iter().rposition(fits)?)?;
        let payload = found.1.clone();
        self.payloads.push_back(found);
        Some(payload)
    }

    fn keep(&mut self, hash: BlobHash, payload: Payload) {
        // Another thread may have read the same one meanwhile.
        if self.payloads.iter().any(|(held, other)| *held == hash && other.codec() == payload.codec()) {
            return;
        }
        self.bytes += payload.bytes().len();
        self.payloads.push_back((hash, payload));
        while self.bytes > KEPT_BYTES || self.payloads.len() > KEPT {
            let Some((_, oldest)) = self.payloads.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.bytes().len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapter::encode_f32, fixture};

    fn body(payload: &Payload) -> Body {
        fixture::body(payload.bytes())
    }

    #[test]
    fn the_payloads_used_last_are_kept_within_the_bounds_and_found_by_what_the_author_signed() {
        let layout = Layout::new(&fixture::adapter()).unwrap();
        let payload = |value: usize| {
            let values = vec![value as f32 / 1024.0; layout.len()];
            let bytes = encode_f32(&layout, Codec::Bfp16, &values).unwrap();
            Payload::check(&layout, Codec::Bfp16, bytes).unwrap()
        };
        let mut kept = Kept::default();
        let all: Vec<Payload> = (0..KEPT + 2).map(payload).collect();
        for (at, payload) in all.iter().enumerate() {
            kept.keep(body(payload).hash, payload.clone());
            kept.keep(body(payload).hash, payload.clone());
            assert!(kept.find(body(&all[0]), Codec::Bfp16).is_some(), "used each time, it stays; {at} came");
        }
        assert_eq!(kept.payloads.len(), KEPT);
        assert_eq!(kept.bytes, kept.payloads.iter().map(|(_, payload)| payload.bytes().len()).sum::<usize>());
        assert!(kept.find(body(&all[1]), Codec::Bfp16).is_none() && kept.find(body(&all[2]), Codec::Bfp16).is_none());
        let last = body(all.last().unwrap());
        assert_eq!(kept.find(last, Codec::Bfp16).unwrap().bytes(), all.last().unwrap().bytes());
        assert!(kept.find(last, Codec::Bfp8).is_none(), "of another codec it is another payload");
        assert!(
            kept.find(Body { length: last.length + 1, ..last }, Codec::Bfp16).is_none(),
            "another length was signed"
        );
    }
}
