//! `cache/stats`: digests of files, cached by their stat.
//!
//! ```text
//! "ner-pipe stats 1"                                   16 bytes
//! when it was saved                                    16
//! device inode size modified changed digest unseen     89 a file, sorted
//! blake3 of all that                                   32
//! ```
//!
//! Numbers are big-endian, so that bytes sort as numbers do. It has no paths: renaming a file changes its
//! ctime, and nothing else here depends on its path.

use std::{
    io,
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    Digest,
    stat::{Moment, Stat},
};
use crate::disk;

const MAGIC: &[u8; 16] = b"ner-pipe stats 1";
const HEAD: usize = 32;
const TAIL: usize = 32;

/// The length of device and inode, which identify a record.
const IDENTITY: usize = 16;
/// The length of the whole stat, all of which has to be unchanged.
const STAT: usize = 56;
/// The offset, behind the digest, of the number of saves since the record was last used.
const UNSEEN: usize = 88;

type Record = [u8; 89];

/// Records that are no longer used are dropped after this many saves: enough for several pipeline files that
/// share a cache.
const KEPT: u8 = 8;

/// Digests of files that need not be read again.
#[derive(Debug, Default)]
pub(super) struct Known {
    cache: Option<PathBuf>,
    records: Vec<Record>,
    /// Whether a file was read whose digest can be cached.
    dirty: AtomicBool,
}

impl Known {
    /// Loads what was saved in `cache/`. If that is missing or invalid, files are read again.
    pub fn open(cache: &Path) -> Self {
        let path = cache.join("stats");
        let bytes = disk::read_own(&path).unwrap_or_default();
        let records = parse(&bytes, Moment::now()).unwrap_or_default();
        Self { cache: Some(cache.to_owned()), records, dirty: AtomicBool::new(false) }
    }

    /// The digest of a file with this stat, if it is cached and the file cannot have changed since. If not,
    /// and the stat had settled at `proven`, the digest is worth saving once the file is read.
    pub fn digest(&self, stat: &Stat, proven: Moment) -> Option<Digest> {
        let stat_bytes = stat_bytes(stat);
        let found =
            self.records.binary_search_by(|record| record[..IDENTITY].cmp(&stat_bytes[..IDENTITY])).ok();
        let record = found.map(|at| &self.records[at]).filter(|record| record[..STAT] == stat_bytes);
        if record.is_none() && stat.is_settled(proven) {
            self.dirty.store(true, Ordering::Relaxed);
        }
        record.and_then(|record| record[STAT..UNSEEN].try_into().ok()).map(Digest::from_bytes)
    }

    /// Saves new digests: `seen` has every file with its digest, and the moment before which its stat proves
    /// that. If the cache is missing or not writable, files are read again next time.
    pub fn save(&mut self, seen: impl Iterator<Item = (Stat, Digest, Moment)>) {
        let Some(cache) = self.cache.clone().filter(|_| self.dirty.swap(false, Ordering::Relaxed)) else {
            return;
        };
        let mut records: Vec<_> = seen
            .filter(|(stat, _, proven)| stat.is_settled(*proven))
            .map(|(stat, digest, _)| record(&stat, &digest))
            .collect();
        let met = records.len();
        let old = self.records.iter().copied().filter(|record| record[UNSEEN] < KEPT);
        records.extend(old.map(|mut record| {
            record[UNSEEN] += 1;
            record
        }));
        // The sort is stable: of two records of one file the newer one comes first.
        records.sort_by(|a, b| a[..IDENTITY].cmp(&b[..IDENTITY]));
        records.dedup_by(|later, first| later[..IDENTITY] == first[..IDENTITY]);
        tracing::debug!(met, kept = records.len(), "saving what files contain");
        if let Err(error) = write(&cache, &records) {
            tracing::debug!(cache = %cache.display(), %error, "what files contain is not saved");
        }
        self.records = records;
    }
}

fn stat_bytes(stat: &Stat) -> [u8; STAT] {
    let mut stat_bytes = [0; STAT];
    stat_bytes[..8].copy_from_slice(&stat.device.to_be_bytes());
    stat_bytes[8..16].copy_from_slice(&stat.inode.to_be_bytes());
    stat_bytes[16..24].copy_from_slice(&stat.size.to_be_bytes());
    stat_bytes[24..40].copy_from_slice(&stat.modified.0.to_be_bytes());
    stat_bytes[40..].copy_from_slice(&stat.changed.0.to_be_bytes());
    stat_bytes
}

fn record(stat: &Stat, digest: &Digest) -> Record {
    let mut record = [0; 89];
    record[..STAT].copy_from_slice(&stat_bytes(stat));
    record[STAT..UNSEEN].copy_from_slice(digest.bytes());
    record
}

/// `None` when it has another format, is truncated or damaged, or was saved in the future: then the clock was
/// set back, and times prove nothing.
fn parse(bytes: &[u8], now: Moment) -> Option<Vec<Record>> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(TAIL)?)?;
    let (head, records) = body.split_at_checked(HEAD)?;
    let saved = head.strip_prefix(MAGIC)?.try_into().map(i128::from_be_bytes).ok()?;
    let (records, rest) = records.as_chunks();
    (saved <= now.0 && rest.is_empty() && sum == Digest::of(body).bytes()).then(|| records.to_vec())
}

/// Atomically by a rename, but without fsync: a file that a power failure truncated is ignored.
fn write(cache: &Path, records: &[Record]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(HEAD + records.as_flattened().len() + TAIL);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&Moment::now().0.to_be_bytes());
    bytes.extend_from_slice(records.as_flattened());
    bytes.extend_from_slice(Digest::of(&bytes).bytes());
    // tempfile creates with mode 0600; what a killed run leaves in `tmp` is deleted later.
    let mut name = tempfile::Builder::new();
    let mut file = name.prefix("stats.").rand_bytes(disk::STAGED_RANDOM).tempfile_in(cache.join("tmp"))?;
    file.write_all(&bytes)?;
    file.persist(cache.join("stats"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn stat(inode: u64, changed: i128) -> Stat {
        let (modified, changed) = (Moment(changed), Moment(changed));
        Stat { device: 1, inode, size: 3, modified, changed, mode: 0o100_644 }
    }

    fn old() -> Moment {
        Moment(Moment::now().0 - 60 * SECOND)
    }

    fn content(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn know(cache: &Path, stats: &[(Stat, Digest)]) {
        let mut known = Known::open(cache);
        for (stat, _) in stats {
            known.digest(stat, Moment::now());
        }
        known.save(stats.iter().map(|(stat, digest)| (*stat, *digest, Moment::now())));
    }

    fn asks(cache: &Path, stat: &Stat) -> Option<Digest> {
        Known::open(cache).digest(stat, Moment::now())
    }

    fn cache() -> tempfile::TempDir {
        let cache = tempdir().expect("a folder");
        fs::create_dir(cache.path().join("tmp")).expect("creates");
        cache
    }

    #[test]
    fn what_is_saved_is_known_until_anything_about_the_file_differs() {
        let cache = cache();
        let one = stat(1, old().0);
        know(cache.path(), &[(stat(2, old().0), content("b")), (one, content("a"))]);
        assert_eq!(asks(cache.path(), &one), Some(content("a")));
        let later = Moment(one.changed.0 + 1);
        for other in [
            Stat { device: 2, ..one },
            Stat { inode: 3, ..one },
            Stat { size: 4, ..one },
            Stat { modified: later, ..one },
            Stat { changed: later, ..one },
        ] {
            assert_eq!(asks(cache.path(), &other), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_too_young_or_from_the_future_is_not_saved() {
        let cache = cache();
        let young = stat(1, Moment::now().0);
        let future = Stat { modified: Moment(Moment::now().0 + SECOND), ..stat(2, old().0) };
        know(
            cache.path(),
            &[(young, content("a")), (future, content("b")), (stat(3, old().0), content("c"))],
        );
        assert_eq!(asks(cache.path(), &young), None);
        assert_eq!(asks(cache.path(), &future), None);
        assert_eq!(asks(cache.path(), &stat(3, old().0)), None, "another moment");
    }

    #[test]
    fn a_damaged_cut_or_foreign_file_is_ignored_and_rewritten() {
        let cache = cache();
        let path = cache.path().join("stats");
        let all = [(stat(1, 7), content("a")), (stat(2, 7), content("b"))];
        know(cache.path(), &all);
        let whole = fs::read(&path).expect("is there");
        let damaged = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let flipped = (0..whole.len()).map(damaged);
        let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
        let foreign = [b"SQLite format 3\0".repeat(20), [&whole[..], b"\0"].concat()];
        for bytes in flipped.chain(cut).chain(foreign) {
            assert!(parse(&bytes, Moment::now()).is_none());
        }
        fs::write(&path, &whole[..100]).expect("writes");
        assert_eq!(asks(cache.path(), &all[0].0), None);
        know(cache.path(), &all);
        assert_eq!(asks(cache.path(), &all[0].0), Some(content("a")));
    }

    #[test]
    fn after_the_clock_was_set_back_nothing_is_known() {
        let cache = cache();
        know(cache.path(), &[(stat(1, 7), content("a"))]);
        let bytes = fs::read(cache.path().join("stats")).expect("is there");
        assert!(parse(&bytes, Moment::now()).is_some());
        assert!(parse(&bytes, Moment(Moment::now().0 - SECOND)).is_none());
    }

    #[test]
    fn records_of_vanished_files_go_and_those_of_another_pipeline_stay_a_while() {
        let cache = cache();
        let seldom = stat(1000, 7);
        know(cache.path(), &[(seldom, content("seldom"))]);
        for n in 0..200 {
            know(cache.path(), &[(stat(n, 7), content("a"))]);
            assert_eq!(asks(cache.path(), &seldom).is_some(), n < u64::from(KEPT), "{n}");
        }
        let known = Known::open(cache.path());
        assert_eq!(known.records.len(), usize::from(KEPT) + 1);
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_no_error() {
        let cache = tempdir().expect("a folder");
        know(cache.path(), &[(stat(1, 7), content("a"))]);
        assert_eq!(fs::read_dir(cache.path()).expect("is there").count(), 0);
    }
}
