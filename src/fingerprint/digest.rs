use std::{
    cell::RefCell,
    fmt,
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::fs::FileExt,
    path::Path,
    str::FromStr,
};

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::disk;

/// The blake3 hash of some content; as text, 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Of a file's content, which is expected to be `bytes` long; a large file is read and hashed on all
    /// cores.
    ///
    /// # Errors
    /// When it cannot be read, or became shorter.
    pub(super) fn of_file(path: &Path, bytes: u64) -> io::Result<Self> {
        /// Below this, starting threads costs more than it saves (blake3's own advice: 128 KiB).
        const LARGE: u64 = 128 * 1024;
        let mut file = disk::open(path)?;
        if bytes < LARGE {
            let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0) + 1);
            file.read_to_end(&mut content)?;
            return Ok(Self::of(&content));
        }
        let left = left_subtree_len(bytes);
        let (left, right) = rayon::join(|| subtree(&file, 0, left), || subtree(&file, left, bytes - left));
        Ok(Self(*merge_subtrees_root(&left?, &right?, Mode::Hash).as_bytes()))
    }

    /// The content together with its file name, where a stage can see that name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let mut bytes = b"named 1\n".to_vec();
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(name.as_bytes());
        Self::of(&bytes)
    }

    /// How many digits [`Digest::short`] has.
    pub const SHORT: usize = 12;

    /// The first 12 hex digits, for display.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..Self::SHORT].to_owned()
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first byte.
    #[must_use]
    pub fn first(&self) -> u8 {
        self.0[0]
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn leading_u64(self) -> u64 {
        self.0.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// The hash of a part of a file that is a subtree of its hash tree. The file is read, not mapped: that is
/// faster here, and a file truncated meanwhile is an error instead of a SIGBUS.
fn subtree(file: &File, from: u64, bytes: u64) -> io::Result<ChainingValue> {
    /// Fits a core's cache together with what the hash needs.
    const PART: usize = 256 * 1024;
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    if bytes <= PART as u64 {
        return BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(PART, 0);
            let part = &mut buffer[..usize::try_from(bytes).unwrap_or(PART)];
            file.read_exact_at(part, from).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => {
                    io::Error::new(error.kind(), "it became shorter while it was read")
                }
                _ => error,
            })?;
            Ok(blake3::Hasher::new().set_input_offset(from).update(part).finalize_non_root())
        });
    }
    let left = left_subtree_len(bytes);
    let (left, right) =
        rayon::join(|| subtree(file, from, left), || subtree(file, from + left, bytes - left));
    Ok(merge_subtrees_non_root(&left?, &right?, Mode::Hash))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| format!("`{text}` is not a digest of 64 hex digits"))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
