//! What the process does with memory that it has given up.

/// From now on this process holds it: a training step gives up and takes hundreds of megabytes, and pages that went back to
/// the system come again one fault at a time, cleared, which was a third of a step. For glibc; elsewhere nothing changes.
pub fn hold() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // One heap for all threads, because only the first can hold what is larger than 64 MiB.
        let held = [(libc::M_TRIM_THRESHOLD, -1), (libc::M_MMAP_MAX, 0), (libc::M_ARENA_MAX, 1)];
        ONCE.call_once(|| {
            for (parameter, value) in held {
                // SAFETY: `mallopt` changes how the allocator works, not what it has given out; it writes a word that other
                // threads may read at the same time, and with the old word as with the new one they give out what is free.
                unsafe { libc::mallopt(parameter, value) };
            }
        });
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Page faults of this thread that took no disk (`proc_pid_stat(5)`, field 10).
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux");
        let fields = stat.rsplit(')').next().expect("fields after the name");
        fields.split_whitespace().nth(7).expect("field 10").parse().expect("a number")
    }

    #[test]
    fn memory_that_was_given_up_comes_back_without_page_faults() {
        let touch = || drop(std::hint::black_box(vec![1_u8; 40 << 20]));
        hold();
        touch();
        let before = faults();
        touch();
        assert!(faults() - before < 5_000, "40 MiB are 10,240 pages");
    }
}
