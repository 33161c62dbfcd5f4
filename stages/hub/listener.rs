use std::{cell::RefCell, io::Write};

/// Who hears what happens meanwhile, and may stop it.
pub trait Listener {
    /// Something worth saying: a wait, a second attempt.
    fn note(&self, text: &str);

    /// How much of a file is there; `total` 0 = unknown. Bytes.
    fn bytes(&self, file: &str, done: u64, total: u64);

    /// Whether to stop.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Lines for people, say on standard error: notes, and how far a file is, each tenth of it.
pub struct Lines<W>(RefCell<Told<W>>);

struct Told<W> {
    out: W,
    /// The file that comes, and how many tenths of it were told.
    last: (String, u64),
}

impl<W: Write> Lines<W> {
    /// To this.
    pub fn new(out: W) -> Self {
        Self(RefCell::new(Told { out, last: (String::new(), 0) }))
    }
}

impl<W: Write> Listener for Lines<W> {
    fn note(&self, text: &str) {
        // Nobody reading stops no download.
        let _ = writeln!(self.0.borrow_mut().out, "note: {text}");
    }

    fn bytes(&self, file: &str, done: u64, total: u64) {
        const MEGABYTE: u64 = 1_000_000;
        let mut told = self.0.borrow_mut();
        let now = (file.to_owned(), (done * 10).checked_div(total).unwrap_or(0));
        if told.last != now {
            let _ = writeln!(told.out, "{file}: {} of {} MB", done / MEGABYTE, total.div_ceil(MEGABYTE));
            told.last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenth_is_told_once() {
        let lines = Lines::new(Vec::new());
        (0..=40).for_each(|part| lines.bytes("a", part * 1_000_000, 40_000_000));
        lines.note("it waits");
        let said = String::from_utf8(lines.0.into_inner().out).expect("is text");
        assert_eq!(said.lines().count(), 12, "{said}");
        assert!(
            said.starts_with("a: 0 of 40 MB\na: 4 of 40 MB\n") && said.ends_with("note: it waits\n"),
            "{said}"
        );
    }
}
