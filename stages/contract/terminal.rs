//! The one door to standard output and standard error. Labels, names, file names, logs and files of other people may
//! hold characters that a terminal obeys, or that turn what it shows around: none leaves this process as it is.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Stderr, Stdout, Write},
};

/// Whether a terminal does something at this character: control characters (ESC, C1, a carriage return), and what decides
/// on the direction of text or breaks a line without being a line break.
fn commands(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `\u001b` for each that `kept` does not except: what JSON calls the character too, so that JSON stays the same value.
fn written(text: &str, kept: &[char]) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if commands(c) && !kept.contains(&c) {
            // A `String` takes everything that is written to it.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Lines without what would command a terminal: line breaks and tabs stay.
#[must_use]
pub fn harmless(text: &str) -> String {
    written(text, &['\n', '\t'])
}

/// The same as one line: a line break would begin a line that nobody wrote.
#[must_use]
pub fn harmless_line(text: &str) -> String {
    written(text, &[])
}

/// Standard output.
#[must_use]
pub fn stdout() -> Harmless<Stdout> {
    Harmless::new(io::stdout())
}

/// Standard error.
#[must_use]
pub fn stderr() -> Harmless<Stderr> {
    Harmless::new(io::stderr())
}

/// Standard output for a document (HTML, entities), which is that of a file when it is redirected to one.
#[must_use]
pub fn document() -> Box<dyn Write> {
    if io::stdout().is_terminal() { Box::new(stdout()) } else { Box::new(io::stdout().lock()) }
}

/// Standard output with our own colours: `text` is [`harmless`] but for these.
///
/// # Errors
/// When it cannot be written.
pub fn coloured(text: &str) -> io::Result<()> {
    write(io::stdout(), text)
}

/// The same for standard error.
///
/// # Errors
/// When it cannot be written.
pub fn coloured_error(text: &str) -> io::Result<()> {
    write(io::stderr(), text)
}

fn write(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Writes text [`harmless`], and bytes that are no UTF-8 as U+FFFD.
#[derive(Debug)]
pub struct Harmless<W> {
    out: W,
    /// The begun character at the end of what was written.
    begun: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    /// Before this.
    pub fn new(out: W) -> Self {
        Self { out, begun: Vec::new() }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut whole = std::mem::take(&mut self.begun);
        whole.extend_from_slice(bytes);
        let mut safe = String::with_capacity(whole.len());
        let mut chunks = whole.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            safe.push_str(&harmless(chunk.valid()));
            let rest = chunk.invalid();
            let is_begun = || std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
            if chunks.peek().is_none() && is_begun() {
                self.begun = rest.to_vec();
            } else if !rest.is_empty() {
                safe.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.out.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.begun).is_empty() {
            let mut lost = [0; 4];
            self.out.write_all(char::REPLACEMENT_CHARACTER.encode_utf8(&mut lost).as_bytes())?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clear screen, a title (OSC), C1, DEL, a carriage return, and what turns text around.
    const EVIL: &str = "a\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}\u{7f}\r\u{202e}b\u{2066}\u{200f}\u{2028}";

    #[test]
    fn what_commands_a_terminal_is_written_out() {
        let safe = "a\\u001b[2J\\u001b]0;t\\u0007\\u009b\\u007f\\u000d\\u202eb\\u2066\\u200f\\u2028";
        assert_eq!(harmless(EVIL), safe);
        assert_eq!(harmless_line("a\n\tb"), "a\\u000a\\u0009b");
        let plain = "é\u{200d}中 👍\n\tb";
        assert_eq!(harmless(plain), plain);
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let json = serde_json::to_string_pretty(&[EVIL]).expect("is text");
        let read: Vec<String> = serde_json::from_str(&harmless(&json)).expect("is JSON");
        assert_eq!(read, [EVIL]);
    }

    #[test]
    fn bytes_come_in_any_pieces_and_no_raw_c1_is_among_them() {
        let bytes = ["é\u{9b}中\u{202e}".as_bytes(), b"\x9b1m\xff", "é".as_bytes(), b"\xc3"].concat();
        for size in 1..bytes.len() {
            let mut door = Harmless::new(Vec::new());
            for piece in bytes.chunks(size) {
                door.write_all(piece).expect("is memory");
            }
            door.flush().expect("is memory");
            let said = String::from_utf8(door.out).expect("is text");
            assert_eq!(said, "é\\u009b中\\u202e\u{fffd}1m\u{fffd}é\u{fffd}", "{size}");
        }
    }
}
