//! The hashes by which the hub names content.

use std::{fmt::Write, fs::File, io::Read, path::Path};

use sha1::Sha1;
use sha2::{Digest, Sha256};
use stage_contract::StageError;

use crate::pin::Pin;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// Whether a file is what a hash of the hub names: SHA-256 (64 digits), or git's SHA-1 of a blob (40).
pub(crate) fn has_hash(path: &Path, hash: &str) -> Result<bool, StageError> {
    let found = if hash.len() == 40 { git_blob(path)? } else { sha256(path)? };
    Ok(found == hash)
}

/// SHA-256 of a file, as the hub names large ones.
pub(crate) fn sha256(path: &Path) -> Result<String, StageError> {
    hashed(path, Sha256::new())
}

/// As git names a file: SHA-1 of `blob <length>\0` and its content.
fn git_blob(path: &Path) -> Result<String, StageError> {
    let length = path.metadata().map_err(|e| StageError::io("look at", path, e))?.len();
    let mut hash = Sha1::new();
    hash.update(format!("blob {length}\0"));
    hashed(path, hash)
}

fn hashed(path: &Path, mut hash: impl Digest) -> Result<String, StageError> {
    let read = |error| StageError::io("read", path, error);
    let (mut file, mut buffer) = (File::open(path).map_err(read)?, vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer).map_err(read)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        // A `String` takes everything that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// A commit names its content, so this is a fault of the hub's or of who changed the cache.
pub(crate) fn changed(pin: &Pin, file: &str) -> StageError {
    StageError::new(format!("{file} of {} is no longer what it was when that commit was pinned", pin.name()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_called_as_git_and_sha256sum_call_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, "hello\n").expect("writes");
        assert_eq!(git_blob(&path).expect("reads"), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(
            sha256(&path).expect("reads"),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
        );
    }
}
