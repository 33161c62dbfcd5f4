//! brat's standoff: spans in `.ann`, the text that they are of beside it in `.txt`.

use std::path::{Path, PathBuf};

use stage_contract::StageError;

use super::super::{
    files,
    format::{File, Format, Want},
    item::{Content, Found, Mark, Place},
    options::Options,
};
use super::plain;

/// The endings of annotations and of their text.
pub const ENDINGS: [&str; 2] = ["ann", "txt"];

/// A pair of files. All pairs of a folder are one set, each a document.
pub struct Brat;

impl Format for Brat {
    fn name(&self) -> &'static str {
        "brat"
    }

    fn sniff(&self, file: &File, want: Want, _options: &Options) -> bool {
        want == Want::Gold && file.ending() == ENDINGS[0]
    }

    fn read(&self, file: &File, _want: Want, options: &Options) -> Result<Found, StageError> {
        let mut found = Found::default();
        let path =
            partner(&file.path, ENDINGS[1]).filter(|_| file.folders().next().is_some()).ok_or_else(|| {
                StageError::new(format!(
                    "{}: the text that it annotates is not in what was given",
                    file.path.display()
                ))
                .help("give the folder with the .ann file and the .txt file of the same name beside it")
            })?;
        let text = files::as_it_stands(&path, options.encoding.as_deref())?;
        let length = text.chars().count();
        let mut marks = Vec::new();
        let mut apart = 0;
        for (number, line) in file.lines() {
            // Others are relations, events, attributes and notes.
            if !line.starts_with('T') {
                continue;
            }
            match mark(line) {
                Some((_, pieces))
                    if pieces.iter().any(|mark| mark.start >= mark.end || mark.end > length) =>
                {
                    found.reject(
                        Place::Line(number),
                        format!("it is empty or leaves the text of {length} characters"),
                    );
                }
                Some((_, pieces)) if pieces.len() == 1 && !says(&text, &pieces[0]) => {
                    found.reject(Place::Line(number), "its text is not what stands at its offsets");
                }
                Some((true, pieces)) => {
                    apart += 1;
                    marks.extend(pieces);
                }
                Some((false, pieces)) => marks.extend(pieces),
                None => found.reject(Place::Line(number), "no `T1<tab>TYPE start end<tab>text`"),
            }
        }
        found.count(
            apart,
            "span of several parts is read as one for each",
            "spans of several parts are read as one for each",
        );
        let document = Some(document(file));
        let (text, marks) = with_line_feeds(text, marks);
        for (number, text, marks) in sentences(&text, marks, options) {
            found.push(Place::Line(number), document.clone(), Content::Spans { text, marks });
        }
        Ok(found)
    }

    fn set(&self, file: &File) -> String {
        let below = file.root.as_ref().and_then(|root| file.folder().strip_prefix(root).ok());
        let parts: Vec<_> = below.into_iter().flatten().map(|part| part.to_string_lossy()).collect();
        if !parts.is_empty() {
            return parts.join("-");
        }
        let folder = file.folder().file_name().map(|name| name.to_string_lossy().into_owned());
        folder.filter(|name| !name.starts_with('.')).unwrap_or_else(|| file.name.clone())
    }
}

/// The name of a pair, which no other of what was given has.
fn document(file: &File) -> String {
    let name = file.name.rsplit_once('.').filter(|(_, end)| end.eq_ignore_ascii_case(ENDINGS[0]));
    name.map_or(&*file.name, |(name, _)| name).to_owned()
}

/// The other file of a pair, in either case.
pub fn partner(path: &Path, ending: &str) -> Option<PathBuf> {
    [ending.to_owned(), ending.to_uppercase()]
        .iter()
        .map(|ending| path.with_extension(ending))
        .find(|path| path.is_file())
}

/// `T1<tab>PER 0 5<tab>Marie`; a span of several parts has them between semicolons. Whether there are several; the parts.
fn mark(line: &str) -> Option<(bool, Vec<Mark>)> {
    let mut fields = line.split('\t');
    let place = fields.nth(1)?;
    let surface = fields.next();
    let (kind, offsets) = place.split_once(' ')?;
    let piece = |piece: &str| {
        let (start, end) = piece.trim().split_once(' ')?;
        Some((start.parse().ok()?, end.trim().parse().ok()?))
    };
    let pieces = offsets.split(';').map(piece).collect::<Option<Vec<(usize, usize)>>>()?;
    let several = pieces.len() > 1;
    // Parts one behind the other are a span that a line break cuts.
    let near = pieces.windows(2).all(|pair| pair[1].0 <= pair[0].1 + 1);
    let whole = |(start, end)| Mark { start, end, kind: kind.to_owned(), surface: None };
    if several && near {
        let (first, last) = (pieces.first()?, pieces.last()?);
        return Some((false, vec![whole((first.0, last.1))]));
    }
    let surface = surface.filter(|_| !several).map(str::to_owned);
    Some((
        several,
        pieces.into_iter().map(|piece| Mark { surface: surface.clone(), ..whole(piece) }).collect(),
    ))
}

/// Whether nothing but the rest of a line's end stands before `\n`.
fn before_feed(rest: &[char]) -> bool {
    rest.iter().find(|c| **c != '\r') == Some(&'\n')
}

/// The text with `\n` at the ends of lines, and the spans of it: brat counts both characters of `\r\n`.
fn with_line_feeds(text: String, mut marks: Vec<Mark>) -> (String, Vec<Mark>) {
    if text.contains("\r\n") {
        let chars: Vec<char> = text.chars().collect();
        let gone: Vec<usize> =
            (1..chars.len()).filter(|at| chars[at - 1] == '\r' && before_feed(&chars[*at..])).collect();
        for offset in marks.iter_mut().flat_map(|mark| [&mut mark.start, &mut mark.end]) {
            *offset -= gone.partition_point(|at| at <= offset);
        }
    }
    (files::with_line_feeds(text), marks)
}

fn says(text: &str, mark: &Mark) -> bool {
    let found = text.chars().skip(mark.start).take(mark.end - mark.start).collect::<String>();
    mark.surface.as_ref().is_none_or(|surface| surface.split_whitespace().eq(found.split_whitespace()))
}

/// The text cut into lines, or what [`Options::unit`] says, with the spans of each. What a span reaches over stays whole.
fn sentences(text: &str, marks: Vec<Mark>, options: &Options) -> Vec<(usize, String, Vec<Mark>)> {
    let mut parts: Vec<(usize, usize, usize)> = Vec::new();
    let (mut at, mut characters) = (0, 0);
    for (number, part) in plain::texts(text, options.unit) {
        characters += text[at..part.start].chars().count();
        at = part.start;
        let end = characters + text[part].chars().count();
        let joined = marks.iter().any(|mark| mark.start < characters && mark.end > characters);
        match parts.last_mut() {
            Some(last) if joined => last.2 = end,
            _ => parts.push((number, characters, end)),
        }
    }
    let chars: Vec<char> = text.chars().collect();
    let mut marks = marks;
    let mut found = Vec::new();
    for (number, start, end) in parts {
        let text: String = chars[start..end].iter().collect();
        if text.trim().is_empty() {
            continue;
        }
        let (own, rest): (Vec<_>, Vec<_>) =
            marks.into_iter().partition(|mark| mark.start < end && mark.end > start);
        marks = rest;
        let moved = own.into_iter().map(|mark| Mark {
            start: mark.start.saturating_sub(start),
            end: mark.end.min(end) - start,
            surface: None,
            ..mark
        });
        found.push((number, text, moved.collect()));
    }
    found
}
