//! Texts that come line by line: from a person or a program that waits for the answer, or from a file of any length.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use super::{
    entries::{Entries, Entry},
    format::{File, Format, Want},
    formats::{
        self, columns,
        json::{Json, Records},
        parquet,
        plain::Plain,
    },
    item::{Found, Place},
    options::{Options, Unit},
    unpack,
};
use crate::encoding;

/// What lines are, by the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// A text each.
    Lines,
    /// A record of JSON each.
    Records,
    /// Of a file that has to be read to its end.
    Whole,
}

impl Begin {
    /// By all that comes before the first line's end, blank lines before it included.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        if is_bytes(head) {
            return Self::Whole;
        }
        let text = String::from_utf8_lossy(head);
        let line = text.trim_start_matches('\u{feff}').trim();
        if Records::begin_with(line) {
            return Self::Records;
        }
        // What follows tells a list or an object from a text; nobody says a bracket alone.
        if ["[", "{"].contains(&line) {
            return Self::Whole;
        }
        let file = File { text: line.to_owned(), ..File::default() };
        let format = formats::of(&file, Want::Entries, &Options::default());
        let plain = format.is_none_or(|format| format.name() == Plain.name());
        if plain && !columns::begins(line) { Self::Lines } else { Self::Whole }
    }

    /// Of a file, compressed or not, by how it begins. What cannot be read is whole too: whoever reads it says why.
    #[must_use]
    pub fn of_file(path: &Path, options: &Options) -> Self {
        let head = Some(path).filter(|_| options.is_by_line()).and_then(|path| head(path).ok());
        let Some(head) = head.filter(|head| !is_bytes(head)) else { return Self::Whole };
        let end = str::from_utf8(&head).map_or_else(|error| error.valid_up_to(), str::len);
        // A character may be cut off at the end; and a bad line costs no more than itself where that is allowed.
        if head.len() - end >= 4 && options.errors == 0 {
            return Self::Whole;
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned);
        // The ends of lines of old Macs.
        if text.replace("\r\n", "\n").contains('\r') {
            return Self::Whole;
        }
        let file = File { path: path.to_owned(), text, ..File::default() };
        let format = formats::of(&file, Want::Entries, options).map(Format::name);
        let first = file.lines().next().map_or("", |(_, line)| line);
        if format == Some(Plain.name()) {
            Self::Lines
        } else if format == Some(Json.name()) && Records::begin_with(first) && file.lines().nth(1).is_some() {
            Self::Records
        } else {
            Self::Whole
        }
    }
}

fn is_bytes(head: &[u8]) -> bool {
    const PACKED: [&[u8]; 3] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], parquet::MAGIC];
    PACKED.iter().any(|magic| head.starts_with(magic))
        || encoding::is_wide(head)
        || unpack::check(head, Path::new("")).is_err()
}

/// The first lines of a file, whole ones: at least two, if there are so many.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    const LEAST: u64 = 1 << 18;
    let (mut reader, mut head) = (unpack::reader(path)?, Vec::new());
    loop {
        if reader.by_ref().take(LEAST).read_to_end(&mut head)? == 0 {
            return Ok(head);
        }
        let lines = head.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        if lines.take(3).count() == 3 {
            let end = head.iter().rposition(|byte| *byte == b'\n').map_or(head.len(), |end| end + 1);
            // All of a short file is looked at.
            if head.len() as u64 >= LEAST {
                head.truncate(end);
                return Ok(head);
            }
        }
    }
}

/// Reads a file piece by piece, decompressed.
///
/// # Errors
/// It cannot be opened.
pub fn open(path: &Path) -> Result<Box<dyn Read>, StageError> {
    unpack::reader(path).map_err(|e| StageError::io("read", path, e))
}

/// Texts of lines, one after another.
pub struct Stream<'o> {
    path: PathBuf,
    /// Where each line is a record.
    records: Option<Records<'o>>,
    /// Where lines up to a blank one are a text: those since the last.
    paragraph: Option<String>,
}

impl<'o> Stream<'o> {
    /// Of something with a name, whose lines are records or texts.
    #[must_use]
    pub fn new(name: &str, records: bool, options: &'o Options) -> Self {
        let paragraphs = !records && options.unit == Unit::Document;
        Self {
            path: name.into(),
            records: records.then(|| Records::new(options)),
            paragraph: paragraphs.then(String::new),
        }
    }

    /// Looks at the lines that are there, before the first is read: what that one has not decides nothing.
    pub fn look<'l>(&mut self, lines: impl Iterator<Item = &'l str>) {
        if let Some(records) = &mut self.records {
            records.look(lines);
        }
    }

    /// The texts of a line with its number, from 1.
    ///
    /// # Errors
    /// It is bad, and may not be left out.
    pub fn take(
        &mut self,
        reader: &mut Entries<'_>,
        number: usize,
        line: &str,
        entries: &mut Vec<Entry>,
    ) -> Result<(), StageError> {
        if let Some(paragraph) = &mut self.paragraph {
            if line.trim().is_empty() {
                entries.extend(whole(paragraph));
            } else {
                let end = if paragraph.is_empty() { "" } else { "\n" };
                paragraph.extend([end, line]);
            }
            return Ok(());
        }
        let Some(records) = &mut self.records else {
            entries.push(Entry::new(line));
            return Ok(());
        };
        if line.trim().is_empty() {
            return Ok(());
        }
        let mut found = Found::default();
        records.take(&mut found, number, line);
        self.add(reader, found, entries)
    }

    /// A line is no text.
    ///
    /// # Errors
    /// It may not be left out.
    pub fn reject(&self, reader: &mut Entries<'_>, number: usize, reason: &str) -> Result<(), StageError> {
        reader.reject(&self.path, Place::Line(number), reason)
    }

    /// Texts that only the end completes.
    ///
    /// # Errors
    /// No record had a field that the options name; or as [`Self::take`].
    pub fn finish(&mut self, reader: &mut Entries<'_>) -> Result<Vec<Entry>, StageError> {
        let mut found = Found::default();
        let mut entries: Vec<Entry> = self.paragraph.as_mut().and_then(whole).into_iter().collect();
        if let Some(records) = self.records.take() {
            records.finish(&mut found, &self.path)?;
            self.add(reader, found, &mut entries)?;
        }
        Ok(entries)
    }

    fn add(
        &self,
        reader: &mut Entries<'_>,
        found: Found,
        entries: &mut Vec<Entry>,
    ) -> Result<(), StageError> {
        entries.extend(found.items.into_iter().filter_map(Entry::of));
        reader.left_out(&self.path, found.lost);
        found.bad.into_iter().try_for_each(|(place, reason)| reader.reject(&self.path, place, &reason))
    }
}

/// The text of a paragraph, which ends.
fn whole(paragraph: &mut String) -> Option<Entry> {
    let text = std::mem::take(paragraph);
    (!text.is_empty()).then(|| Entry::new(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_line_says_what_lines_are() {
        for (head, begin) in [
            ("Anna vit à Aix.", Begin::Lines),
            ("", Begin::Lines),
            ("\u{feff}[1] Note de bas de page", Begin::Lines),
            ("{Anna} vit", Begin::Lines),
            (r#"{"text": "Anna"}"#, Begin::Records),
            (r#"  {"id": 3, "texte": "Anna"}"#, Begin::Records),
            (r#"["Anna", {"entities": []}]"#, Begin::Records),
            ("[", Begin::Whole),
            ("{", Begin::Whole),
            (r#"{"data": ["#, Begin::Whole),
            ("-DOCSTART- -X- O O", Begin::Whole),
            ("# newdoc id = a", Begin::Whole),
            ("Anna\tB-PER", Begin::Whole),
            ("#FORMAT=WebAnno TSV 3.3", Begin::Whole),
            ("\u{1f}", Begin::Lines),
            ("PAR1", Begin::Whole),
        ] {
            assert_eq!(Begin::of(head.as_bytes()), begin, "{head}");
        }
        assert_eq!(Begin::of(&[0x1f, 0x8b, 8]), Begin::Whole);
        assert_eq!(Begin::of(&[0xff, 0xfe, b'a', 0]), Begin::Whole);
    }

    #[test]
    fn a_file_of_lines_or_records_is_read_piece_by_piece_and_any_other_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options::default();
        let of = |name: &str, bytes: &[u8], options: &Options| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("written");
            Begin::of_file(&path, options)
        };
        let long = format!("{{\"text\": \"{}\"}}\n", "Anna ".repeat(1 << 17)).repeat(3);
        let packed = zstd::encode_all("Anna\nvit\n".as_bytes(), 1).expect("packed");
        for (name, bytes, begin) in [
            ("a.txt", "Anna vit.\nÀ Aix.\n".as_bytes(), Begin::Lines),
            ("a.txt.zst", &packed, Begin::Lines),
            ("a.jsonl", b"{\"text\": \"Anna\"}\n{\"text\": \"vit\"}\n", Begin::Records),
            ("long.jsonl", long.as_bytes(), Begin::Records),
            ("one.jsonl", b"{\"data\": [{\"text\": \"Anna\"}]}\n", Begin::Whole),
            ("a.json", b"[\n{\"text\": \"Anna\"},\n{\"text\": \"vit\"}\n]\n", Begin::Whole),
            ("a.csv", b"id,text\n1,Anna\n", Begin::Whole),
            ("a.conll", b"Anna B-PER\nvit O\n\nAix B-LOC\n", Begin::Whole),
            ("mac.txt", b"Anna\rvit\r", Begin::Whole),
            ("latin.txt", b"op\xe9r\xe9 hier\n", Begin::Whole),
            ("wide.txt", b"\xff\xfeA\0", Begin::Whole),
        ] {
            assert_eq!(of(name, bytes, &options), begin, "{name}");
        }
        let lenient = Options { errors: 1, ..Options::default() };
        assert_eq!(of("b.txt", b"op\xe9r\xe9 hier\nAnna vit\n", &lenient), Begin::Lines);
        let wide = Options { encoding: Some("windows-1252".into()), ..Options::default() };
        assert_eq!(of("c.txt", b"Anna\n", &wide), Begin::Whole);
    }

    /// All texts of some lines with their numbers.
    fn taken(
        stream: &mut Stream<'_>,
        reader: &mut Entries<'_>,
        lines: &[(usize, &str)],
    ) -> (Vec<Entry>, Result<(), StageError>) {
        let mut entries = Vec::new();
        let read =
            lines.iter().try_for_each(|(number, line)| stream.take(reader, *number, line, &mut entries));
        (entries, read)
    }

    #[test]
    fn records_are_read_as_those_of_a_file_and_those_before_a_bad_one_come_before_its_error() {
        let options = Options { errors: 1, ..Options::default() };
        let (mut stream, mut reader) =
            (Stream::new("standard input", true, &options), Entries::new(&options));
        let lines = [(1, r#"{"id": 1, "body": "Anna"}"#), (2, " "), (3, "{")];
        stream.look(lines.iter().map(|(_, line)| *line));
        let (entries, result) = taken(&mut stream, &mut reader, &lines);
        result.expect("one may be bad");
        assert_eq!((entries[0].text.as_str(), entries.len()), ("Anna", 1));
        assert_eq!(entries[0].record.as_ref().expect("a record")["id"], 1);
        let lines = [(4, r#"{"body": "vit"}"#), (5, r#"{"body": 3}"#), (6, "{}")];
        let (entries, result) = taken(&mut stream, &mut reader, &lines);
        assert_eq!(entries.len(), 1);
        let error = result.expect_err("two are too many").to_string();
        assert!(error.contains("standard input:5: the field `body` is a number"), "{error}");
    }

    #[test]
    fn paragraphs_come_when_they_end_as_those_of_a_file() {
        let text = "\n un \ndeux \n \n\ntrois\n";
        let options = Options { unit: Unit::Document, ..Options::default() };
        let (mut stream, mut reader) = (Stream::new("a", false, &options), Entries::new(&options));
        let lines: Vec<_> = text.lines().zip(1..).map(|(line, number)| (number, line)).collect();
        let (mut entries, _) = taken(&mut stream, &mut reader, &lines[..4]);
        assert_eq!(entries.len(), 1);
        entries.extend(taken(&mut stream, &mut reader, &lines[4..]).0);
        entries.extend(stream.finish(&mut reader).expect("read"));
        let whole = reader.read_bytes("a.txt", text.into()).expect("read").expect("not left out");
        assert_eq!(entries, whole.entries);
    }

    #[test]
    fn what_is_left_out_of_a_stream_is_named() {
        let options = Options { errors: 2, ..Options::default() };
        let (mut stream, mut reader) = (Stream::new("a", true, &options), Entries::new(&options));
        let lines = [(1, r#"{"text": "Anna"}"#), (2, "x"), (3, r#"{"text": "vit", "answer": "reject"}"#)];
        assert_eq!(taken(&mut stream, &mut reader, &lines).0.len(), 1);
        stream.reject(&mut reader, 4, "not UTF-8").expect("two may be bad");
        assert!(stream.finish(&mut reader).expect("read").is_empty());
        assert_eq!(
            reader.notes().lost,
            [
                "a: 1 record whose `answer` is not `accept` is left out",
                "a:2: no JSON at column 1: left out",
                "a:4: not UTF-8: left out"
            ]
        );
    }
}
