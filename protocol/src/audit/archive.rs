//! What an auditor is handed. Layout, as a folder or a tar of one:
//!
//! `genesis` (signed manifest bytes) · `manifests/<version, 6 digits>` (from 1 on) · `feeds/<member hex>.<incarnation>` (frames: u32-LE
//! length, record envelope) · `blobs/<blake3 hex>` · `evidence/<blake3 hex>` · `logs/<member hex>/` with `checkpoint`,
//! `notes/<size, 20 digits>` and `tile/<level>/<index>[.p/<width>]`. Names sorted; the same inputs give the same bytes.

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
}
