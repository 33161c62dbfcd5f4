use std::time::SystemTime;

/// What the file system says about a file or folder, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub device: u64,
    pub inode: u64,
    /// 0 for a folder, whose size depends on the file system.
    pub size: u64,
    pub modified: Moment,
    pub changed: Moment,
    pub mode: u32,
}

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub i128);

impl Moment {
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // Before 1970 every file is from the future, and none is trusted.
        Self(since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0)))
    }

    /// So long before that writes from then are on the disk by now: the kernel's write-back takes 35 s at
    /// most. A write through a memory map gives the file a new time only if it is the first one to its page
    /// since write-back.
    pub fn long_before(self) -> Self {
        Self(self.0 - 60_000_000_000)
    }

    fn of(seconds: i64, nanoseconds: impl Into<i128>) -> Self {
        Self(i128::from(seconds) * 1_000_000_000 + nanoseconds.into())
    }
}

impl Stat {
    pub fn of(stat: &rustix::fs::Stat) -> Self {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let this = Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size,
            modified: Moment::of(stat.st_mtime, stat.st_mtime_nsec),
            changed: Moment::of(stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
        };
        if this.is_folder() { Self { size: 0, ..this } } else { this }
    }

    pub fn is_file(&self) -> bool {
        rustix::fs::FileType::from_raw_mode(self.mode).is_file()
    }

    pub fn is_folder(&self) -> bool {
        rustix::fs::FileType::from_raw_mode(self.mode).is_dir()
    }

    /// Whether anyone may execute it: that decides whether a program in a folder runs.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// Whether the stat of a file read after `moment` proves, as long as it is the same, that the file has
    /// not changed since: any write after that moment gets another time. Git calls a file for which this does
    /// not hold racily clean. Times from the future, or a clock that was set back, never settle.
    pub fn is_settled(&self, moment: Moment) -> bool {
        /// The kernel's clock for files ticks every 10 ms at the slowest.
        const TICK: i128 = 20_000_000;
        /// FAT counts in steps of 2 s, some others of 1 s.
        const COARSE: i128 = 2_100_000_000;
        // Only the kernel sets the ctime, so its last digits show the clock's resolution.
        let margin = if self.changed.0 % 10_000_000 == 0 { COARSE } else { TICK };
        self.modified.max(self.changed).0 + margin < moment.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_settles_when_no_later_write_can_look_like_it() {
        let stat = |modified, changed| Stat {
            device: 1,
            inode: 1,
            size: 1,
            modified: Moment(modified),
            changed: Moment(changed),
            mode: 0,
        };
        let now = Moment(100_000_000_000);
        assert!(stat(1, 99_900_000_001).is_settled(now));
        assert!(!stat(1, 99_990_000_001).is_settled(now), "within a tick");
        assert!(!stat(1, 98_000_000_000).is_settled(now), "a coarse clock");
        assert!(stat(1, 97_000_000_000).is_settled(now));
        assert!(!stat(1, 200_000_000_001).is_settled(now), "the clock was set back");
        assert!(!stat(200_000_000_001, 1).is_settled(now), "from the future");
    }
}
