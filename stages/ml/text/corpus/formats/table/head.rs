//! What a table says before its rows: separator, names of columns, and which are what.

use csv::{ReaderBuilder, StringRecord};

use stage_contract::StageError;

use super::rows::{Layout, Row, Rows};
use crate::corpus::{
    format::{File, Format, Want},
    formats::{columns, pipes},
    options::Options,
    roles,
    word_rows::{LOOKED_AT, WordRows, column},
};

const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// What separates units in ASCII, and is in no text.
const NONE: u8 = 0x1f;
/// Columns with a text, or the words of one, a row.
const TEXTS: [&str; 8] = ["text", "sentence", "content", "tokens", "words", "texte", "phrase", "document"];
/// The first line of a table.
pub(super) struct Head {
    start: usize,
    separator: u8,
    /// Whether the first line is one of names.
    named: bool,
    /// Of the columns, in order.
    pub names: Vec<String>,
    /// Where a row is a word.
    pub words: Option<WordRows>,
    /// The column of running text, where no name says it.
    pub running: Option<usize>,
    /// Whether the columns are those of a table whatever they are called.
    even: bool,
}

impl Head {
    /// By the separator that a line `sep=;` says, or that gives the most names.
    pub fn of(file: &File, want: Want, options: &Options) -> Option<Self> {
        let (start, said) = separator(&file.text);
        let line = file.text[start..].lines().find(|line| !line.trim().is_empty())?;
        let split = |separator: &u8| {
            let mut reader =
                ReaderBuilder::new().delimiter(*separator).has_headers(false).from_reader(line.as_bytes());
            let record = reader.records().next()?.ok()?;
            Some((*separator, record.iter().map(|name| name.trim().to_owned()).collect::<Vec<_>>()))
        };
        let even = |separator: u8, columns: usize| {
            let layout = Layout { start, separator, columns, words: false };
            let mut rows = Rows::of(&file.text, layout).take(LOOKED_AT);
            columns > 1 && rows.all(|(.., row)| row.is_ok_and(|row| row.len() == columns))
        };
        // Of equals the first. Below one name no separator separates.
        let (separator, names) = match said {
            Some(separator) => split(&separator)?,
            None => SEPARATORS
                .iter()
                .rev()
                .filter_map(split)
                .max_by_key(|(separator, names)| (even(*separator, names.len()), names.len()))?,
        };
        let separator = if names.len() == 1 { NONE } else { separator };
        let mut head = Self { start, separator, named: true, names, words: None, running: None, even: false };
        let rows: Vec<StringRecord> =
            head.rows(file).take(LOOKED_AT).filter_map(|(.., row)| row.ok()).collect();
        head.words = WordRows::of(&head.names, &rows, options);
        let unknown = head.words.is_none() && !head.says(options) && !head.knows_text();
        if want != Want::Gold && unknown && head.is_even(file) {
            head.run(file);
            head.even = head.running.is_some() || is_table(file);
        }
        Some(head)
    }

    fn says(&self, options: &Options) -> bool {
        let fields = [&options.fields.text, &options.fields.tokens, &options.fields.tags];
        fields.into_iter().flatten().any(|name| column(&self.names, &[name]).is_some())
    }

    fn knows_text(&self) -> bool {
        column(&self.names, &roles::TEXTS).or_else(|| column(&self.names, &TEXTS)).is_some()
    }

    /// The options, with the column of running text where no name says it.
    ///
    /// # Errors
    /// There is no such column.
    pub fn text_said(&self, file: &File, options: &Options) -> Result<Options, StageError> {
        let mut said = options.clone();
        if self.even && said.fields.text.is_none() {
            let column = self.running.ok_or_else(|| self.textless(file))?;
            said.fields.text = Some(self.names[column].clone());
        }
        Ok(said)
    }

    fn textless(&self, file: &File) -> StageError {
        let names: Vec<_> = self.names.iter().map(|name| format!("`{name}`")).collect();
        let columns = if self.named { names.join(", ") } else { format!("{} without names", names.len()) };
        StageError::new(format!("{}: no column of text among {columns}", file.path.display())).help(
            match self.names.last().filter(|_| self.named) {
                Some(name) => format!("say which it is by the option `fields = {{ text = \"{name}\" }}`"),
                None => "put a line of names above, with `text` over the column of the text".to_owned(),
            },
        )
    }

    /// What was found of the form, for the note.
    pub fn said(&self) -> String {
        let separator = match self.separator {
            NONE => return "1 column".to_owned(),
            b'\t' => "tab".to_owned(),
            other => format!("`{}`", char::from(other)),
        };
        let unnamed = if self.named { "" } else { " without names" };
        format!("{} columns by {separator}{unnamed}", self.names.len())
    }

    /// Whether the names are those of a table, and not words of a text.
    pub fn fits(&self, file: &File, want: Want, options: &Options) -> bool {
        let said = self.says(options);
        let several = self.names.len() > 1 && file.lines().nth(1).is_some();
        let sure = || is_table(file) || (several && self.is_certain(file));
        if let Some(words) = &self.words {
            // Words between tabs and blank lines, without quotes, are columns where nothing says more of them; and so are words
            // below comments.
            let table = self.separator != b'\t' || words.sentence.is_some() || said;
            return table && !self.has_comments(file) && (want == Want::Gold || said || sure());
        }
        let texts = column(&self.names, &TEXTS).is_some();
        // Fields are said of tables: where none is of this one, that is an error of the table.
        let asks = || !options.fields.is_empty() && several && is_table(file);
        let other = || columns::Columns.sniff(file, want, options);
        match want {
            Want::Text | Want::Entries => {
                said || self.even || (texts && sure()) || (self.knows_text() && self.is_even(file))
            }
            Want::Gold => said || (several && texts) || (asks() && !other()),
        }
    }

    /// Whether lines that begin with `#` are no rows.
    fn has_comments(&self, file: &File) -> bool {
        let cells = |line: &str| line.split(char::from(self.separator)).count();
        let mut lines = file.lines().map(|(_, line)| line).take(LOOKED_AT);
        lines.any(|line| line.starts_with('#') && cells(line) != self.names.len())
    }

    /// Whether it is no sentence with commas in it: names without blanks around them, and rows of as many cells.
    fn is_certain(&self, file: &File) -> bool {
        let line = file.text[self.start..].lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let names = line.split(char::from(self.separator)).all(|name| {
            let known = |c: char| c.is_alphanumeric() || "_-#.: \"".contains(c);
            name.trim() == name && name.chars().all(known) && name.split(' ').count() <= 2
        });
        names
            && self
                .rows(file)
                .take(LOOKED_AT)
                .all(|(.., row)| row.is_ok_and(|row| row.len() == self.names.len()))
    }

    /// Whether nearly all rows have as many cells as the first, and the file is called a table, quotes its cells or numbers
    /// its rows; and no other format knows it.
    fn is_even(&self, file: &File) -> bool {
        let rows: Vec<_> = self.lines(file).take(LOOKED_AT).collect();
        let even: Vec<_> = rows
            .iter()
            .filter_map(|(.., row)| row.as_ref().ok().filter(|row| row.len() == self.names.len()))
            .collect();
        let clear = || {
            // What follows a comma in a sentence is a blank.
            let close = even.iter().all(|row| row.iter().skip(1).all(|cell| !cell.starts_with(' ')));
            let quoted = || {
                let quote = format!("{}\"", char::from(self.separator));
                let lines = || file.text[self.start..].lines().take(LOOKED_AT);
                2 * lines().filter(|line| line.starts_with('"') || line.contains(&quote)).count()
                    >= lines().count()
            };
            let numbered = || {
                let number = |place: usize| {
                    even.iter()
                        .skip(1)
                        .all(|row| row.get(place).is_some_and(|cell| cell.trim().parse::<u64>().is_ok()))
                };
                self.separator == b'\t' && (0..self.names.len()).any(number)
            };
            is_table(file) || (close && quoted()) || numbered()
        };
        let others: [&dyn Format; 2] = [&pipes::Pipes, &columns::Columns];
        let known = || others.iter().any(|format| format.sniff(file, Want::Text, &Options::default()));
        self.names.len() > 1
            && even.len() > 1
            && 20 * (rows.len() - even.len()) <= rows.len()
            && clear()
            && !known()
    }

    /// Finds the column of running text, by the rows below the first, and whether the first is one of names.
    fn run(&mut self, file: &File) {
        let rows: Vec<StringRecord> =
            self.lines(file).take(LOOKED_AT).filter_map(|(.., row)| row.ok()).collect();
        let Some((first, below)) = rows.split_first() else { return };
        let mean = |count: fn(&str) -> usize, place: usize| {
            let sum: usize = below.iter().filter_map(|row| row.get(place)).map(count).sum();
            (10 * sum) / below.len().max(1)
        };
        let length = |place: usize| mean(|cell| cell.trim().chars().count(), place);
        let words = |place: usize| mean(|cell| cell.split_whitespace().count(), place);
        self.running = (0..self.names.len()).filter(|place| words(*place) >= 15).max_by_key(|p| length(*p));
        let number = |cell: &str| cell.trim().parse::<f64>().is_ok();
        let sentence = |cell: &str| {
            cell.split_whitespace().count() > 3 || cell.trim_end().ends_with(['.', '!', '?', '…'])
        };
        if first.iter().any(|cell| number(cell) || sentence(cell)) {
            self.named = false;
            self.names = (1..=self.names.len()).map(|place| format!("column {place}")).collect();
        }
    }

    /// The lines of the table, the first among them.
    fn lines<'f>(&self, file: &'f File) -> Rows<'f> {
        let layout = Layout {
            start: self.start,
            separator: self.separator,
            columns: self.names.len(),
            words: self.words.is_some(),
        };
        Rows::of(&file.text, layout)
    }

    /// The rows below the head.
    pub fn rows<'f>(&self, file: &'f File) -> impl Iterator<Item = Row> + use<'f> {
        self.lines(file).skip(usize::from(self.named))
    }
}

fn is_table(file: &File) -> bool {
    ["csv", "tsv"].contains(&file.ending().as_str())
}

/// Where the table begins below a line `sep=;` of Excel's, and the separator that it says.
fn separator(text: &str) -> (usize, Option<u8>) {
    let line = text.split_inclusive('\n').next().unwrap_or_default();
    let said = line.trim_end_matches(['\n', '\r']).trim_matches('"');
    let separator = said.get(..4).filter(|start| start.eq_ignore_ascii_case("sep=")).map(|_| &said[4..]);
    match separator.map(str::as_bytes) {
        Some([separator]) if SEPARATORS.contains(separator) => (line.len(), Some(*separator)),
        _ => (0, None),
    }
}
