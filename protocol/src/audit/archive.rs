//! What an auditor is handed. Layout, as a folder or a tar of one:
//!
//! `genesis` (signed manifest bytes) · `manifests/<version, 6 digits>` (from 1 on) · `feeds/<member hex>.<incarnation>` (frames: u32-LE
//! length, record envelope) · `blobs/<blake3 hex>` · `evidence/<blake3 hex>` · `conflicts/<blake3 hex>` (signed manifests) ·
//! `logs/<member hex>/` with `checkpoint`, `notes/<size, 20 digits>` and `tile/<level>/<index>[.p/<width>]`. Names sorted; the same inputs give the same bytes.

use std::io;

use bytes::Bytes;

/// Read access to an archive. Names are relative, `/`-separated, as in the layout.
pub trait Archive: Sync {
    /// Every file's name and length, sorted by name.
    ///
    /// # Errors
    /// The medium.
    fn files(&self) -> io::Result<Vec<(String, u64)>>;

    /// A file's bytes; `limit` is the most to read, more is an error.
    ///
    /// # Errors
    /// The medium; absent; longer than `limit`.
    fn read(&self, name: &str, limit: u64) -> io::Result<Bytes>;

    /// As [`read`](Self::read), and `look` is shown all that has come so far, each time more of it: the new bytes are then still in
    /// the processor's caches. At the end it has seen everything.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_along(&self, name: &str, limit: u64, look: &mut dyn FnMut(&[u8])) -> io::Result<Bytes> {
        let bytes = self.read(name, limit)?;
        look(&bytes);
        Ok(bytes)
    }

    /// `length` bytes of a file from byte `offset` on.
    ///
    /// # Errors
    /// The medium; absent; it ends before.
    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Bytes> {
        let file = self.read(name, u64::MAX)?;
        let start = usize::try_from(offset).ok();
        let range =
            start.and_then(|start| Some(start..start.checked_add(length)?)).filter(|range| range.end <= file.len());
        range
            .map(|range| file.slice(range))
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, name.to_owned()))
    }
}
