use std::{
    cell::RefCell,
    io::Write,
    time::{Duration, Instant},
};

/// Who hears what happens meanwhile, and may stop it.
pub trait Listener {
    /// Something worth saying: a wait, a second attempt.
    fn note(&self, text: &str);

    /// How much of a large file is there, at most each hundredth of it. Bytes.
    fn bytes(&self, file: &str, done: u64, total: u64);

    /// Whether to stop.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Lines for people, say on standard error: notes, and how far a file is when it begins, now and then, and at its end.
pub struct Lines<W>(RefCell<Told<W>>);

struct Told<W> {
    out: W,
    /// The file that comes, and when that was last told.
    last: Option<(String, Instant)>,
}

impl<W: Write> Lines<W> {
    /// To this.
    pub fn new(out: W) -> Self {
        Self(RefCell::new(Told { out, last: None }))
    }
}

impl<W: Write> Listener for Lines<W> {
    fn note(&self, text: &str) {
        // Nobody reading stops no download.
        let _ = writeln!(self.0.borrow_mut().out, "note: {text}");
    }

    fn bytes(&self, file: &str, done: u64, total: u64) {
        const MEGABYTE: u64 = 1_000_000;
        /// As `run` says it where there is no terminal.
        const INTERVAL: Duration = Duration::from_secs(15);
        let mut told = self.0.borrow_mut();
        let recent = |(name, at): &(String, Instant)| name == file && at.elapsed() < INTERVAL;
        if done < total && told.last.as_ref().is_some_and(recent) {
            return;
        }
        let _ = writeln!(told.out, "{file}: {} of {} MB", done / MEGABYTE, total.div_ceil(MEGABYTE));
        #[expect(clippy::disallowed_methods, reason = "only when a line is written depends on it")]
        let now = Instant::now();
        told.last = Some((file.to_owned(), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_when_it_begins_and_when_it_is_there() {
        let lines = Lines::new(Vec::new());
        (0..=40).for_each(|part| lines.bytes("a", part * 1_000_000, 40_000_000));
        lines.bytes("b", 1_000_000, 2_000_000);
        lines.note("it waits");
        let said = String::from_utf8(lines.0.into_inner().out).expect("is text");
        assert_eq!(said, "a: 0 of 40 MB\na: 40 of 40 MB\nb: 1 of 2 MB\nnote: it waits\n");
    }
}
