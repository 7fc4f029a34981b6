//! Files mapped into memory, where the user vouches for it that nobody changes them meanwhile.

use std::{fs::File, io};

use bytes::Bytes;
use memmap2::Mmap;

/// A file's bytes, without reading them.
#[allow(unsafe_code)]
pub(crate) fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: the bytes must not change while they are mapped. Only `--mmap` leads here, whose user vouches for that. No length
    // is taken from mapped bytes, so that even changing ones lead to no place outside of them; of a file that is cut short
    // meanwhile the system ends the program (SIGBUS), which is no verdict.
    Ok(Bytes::from_owner(unsafe { Mmap::map(file) }?))
}
