//! How far long work is, for a person at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Texts a second, and the share of the bytes of all input. Standard error has to be a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    texts: usize,
}

impl Progress {
    /// Of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}");
        let bar = ProgressBar::new(bytes);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::of(bar)
    }

    /// Of nothing that could be said: it is short, a terminal shows what is written, or the end is not known.
    pub fn none() -> Self {
        Self::of(ProgressBar::hidden())
    }

    fn of(bar: ProgressBar) -> Self {
        Self { bar, texts: 0 }
    }

    /// So many texts more are done.
    pub fn texts(&mut self, texts: usize) {
        self.texts += texts;
        let seconds = self.bar.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "it is shown without decimals")]
        let rate = self.texts as f64 / seconds;
        self.bar.set_message(format!("{} texts, {rate:.0}/s", self.texts));
    }

    /// How many bytes of the input are done.
    pub fn place(&self) -> u64 {
        self.bar.position()
    }

    /// So many bytes of the input are done.
    pub fn at(&self, bytes: u64) {
        self.bar.set_position(bytes.min(self.bar.length().unwrap_or(bytes)));
    }

    /// Leaves the terminal as it was.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
