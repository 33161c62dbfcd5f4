use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The blake3 hash of some content; as text, 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Of a file's content; a large file is mapped and hashed on all cores.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of_file(path: &Path, bytes: u64) -> std::io::Result<Self> {
        /// Below this, starting threads costs more than it saves (blake3's own advice: 128 KiB).
        const LARGE: u64 = 128 * 1024;
        if bytes < LARGE {
            return std::fs::read(path).map(|content| Self::of(&content));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_mmap_rayon(path)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }

    /// The content together with the name it has, where a stage gets to see the name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let mut bytes = b"named 1\n".to_vec();
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(name.as_bytes());
        Self::of(&bytes)
    }

    /// The first 12 hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
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
