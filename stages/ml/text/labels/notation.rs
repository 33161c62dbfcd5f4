//! How tags are written and read: prefix and type, what says O, and which scheme they follow.

use std::collections::BTreeSet;

/// The label of a word that is in no entity.
pub(super) const OUTSIDE: &str = "O";

/// What stands before the type in a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `B-`
    Begin,
    /// `I-`
    Inside,
    /// `E-` of BIOES, `L-` of BILOU.
    End,
    /// `S-` of BIOES, `U-` of BILOU.
    Single,
}

/// A way to write prefix and type of a label.
pub(super) type Form = fn(&str) -> Option<(Prefix, &str)>;

/// Ways to write a label, the usual one first.
const FORMS: [Form; 7] = [
    |label| label.split_once('-').and_then(|(prefix, kind)| typed(any_case(prefix), kind)),
    |label| label.split_once('_').and_then(|(prefix, kind)| typed(any_case(prefix), kind)),
    |label| label.split_once(':').and_then(|(prefix, kind)| typed(any_case(prefix), kind)),
    |label| label.split_once('/').and_then(|(prefix, kind)| typed(any_case(prefix), kind)),
    |label| label.split_once('.').and_then(|(prefix, kind)| typed(any_case(prefix), kind)),
    |label| label.rsplit_once('-').and_then(|(kind, prefix)| typed(any_case(prefix), kind)),
    |label| label.rsplit_once('_').and_then(|(kind, prefix)| typed(any_case(prefix), kind)),
];

/// `BPER`, which is a way only where `IPER` is too.
const JOINED: Form = |label| {
    let (prefix, kind) = label.split_at_checked(1)?;
    typed(upper(prefix), kind)
        .filter(|_| kind.starts_with(char::is_alphanumeric) && !kind.contains(char::is_lowercase))
};

/// The way in which a set of labels is written; `None` where names have no prefix. `E-MAIL` beside `PHONE` is a type, for
/// the other prefixes go with B- or I-; and ways that are rare must fit every label.
pub(super) fn form(names: &[String]) -> Option<Form> {
    let marks = |form: &Form| {
        names.iter().any(|name| matches!(form(name), Some((Prefix::Begin | Prefix::Inside, _))))
    };
    let fits = |form: &Form| names.iter().all(|name| name == OUTSIDE || form(name).is_some());
    let usual = FORMS.into_iter().take(1).find(marks);
    usual
        .or_else(|| FORMS.into_iter().skip(1).find(|form| marks(form) && fits(form)))
        .or_else(|| Some(JOINED).filter(|form| fits(form) && pairs(*form, names)))
}

/// Whether some type has both B- and I-: a way that a slip among the tags does not make unlikely.
fn pairs(form: Form, names: &[String]) -> bool {
    let of = |wanted: Prefix| {
        let found = names.iter().filter_map(|name| form(name)).filter(move |(prefix, _)| *prefix == wanted);
        found.map(|(_, kind)| kind).collect::<BTreeSet<_>>()
    };
    !of(Prefix::Begin).is_disjoint(&of(Prefix::Inside))
}

fn typed(prefix: Option<Prefix>, kind: &str) -> Option<(Prefix, &str)> {
    let whole = !kind.is_empty() && !kind.contains(char::is_whitespace);
    prefix.filter(|_| whole).map(|prefix| (prefix, kind))
}

/// A prefix as tags have it.
fn upper(text: &str) -> Option<Prefix> {
    Some(match text {
        "B" => Prefix::Begin,
        "I" => Prefix::Inside,
        "E" | "L" => Prefix::End,
        "S" | "U" => Prefix::Single,
        _ => return None,
    })
}

/// A prefix as labels may have it.
fn any_case(text: &str) -> Option<Prefix> {
    match text.to_uppercase().as_str() {
        "M" => Some(Prefix::Inside),
        "W" => Some(Prefix::Single),
        text => upper(text),
    }
}

/// Prefix and type of a name, in each of the ways in which it can be read as a label; `true` where that is the usual one.
pub(super) fn without_prefix(name: &str) -> impl Iterator<Item = (bool, Prefix, &str)> {
    FORMS.into_iter().zip(0..).filter_map(move |(form, way)| {
        let (prefix, kind) = form(name)?;
        Some((way == 0, prefix, kind))
    })
}

/// Whether a name is a prefix without a type.
pub(super) fn is_bare(name: &str) -> bool {
    any_case(name.trim_matches(['-', '_', ':', '/', '.'])).is_some()
}

/// Prefix and type of a tag that has both.
fn prefixed(tag: &str) -> Option<(Prefix, &str)> {
    tag.split_once('-').and_then(|(prefix, kind)| typed(upper(prefix), kind))
}

/// Reads one tag of BIO or BIOES: `Some(None)` for O, `Some(Some((Begin, "PER")))` for B-PER, `None` for anything else.
#[must_use]
pub fn split_tag(tag: &str) -> Option<Option<(Prefix, &str)>> {
    if tag == OUTSIDE { Some(None) } else { prefixed(tag).map(Some) }
}

/// An entity over words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First word.
    pub start: usize,
    /// One past the last word.
    pub end: usize,
    /// Type name: `PER`.
    pub kind: String,
}

/// How the tags of one file are written: found from all of them, so that `E-MAIL` beside `PHONE` is a type, and `o` is O
/// beside `b-per` and a mistake beside `B-PER`.
#[derive(Clone, Debug)]
pub struct Notation {
    /// Where prefix and type stand; `None` where tags are types.
    form: Option<Form>,
    /// What says O, beside a prefix before `O` where nothing else does.
    outside: String,
    /// Whether `B-O` and `I-O` say O.
    prefixed_outside: bool,
    /// Whether each tag is a type as it stands.
    literal: bool,
}

/// What fills a column of which nothing is known, beside O too.
const UNKNOWN: &str = "_";

/// What says O where no `O` does, the likeliest first.
pub(super) const MARKS: [&str; 5] = ["o", "0", UNKNOWN, "-", "*"];

/// A label as a tag can have it: blanks around it do not count, those in it are `_`.
#[must_use]
pub fn as_tag(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join("_")
}

impl Notation {
    /// From every tag of a file.
    #[must_use]
    pub fn of<'t>(tags: impl IntoIterator<Item = &'t str>) -> Self {
        let names: BTreeSet<&str> = tags.into_iter().collect();
        let has = |name: &str| names.contains(name);
        let rest = |outside: &str| -> Vec<String> {
            let others = names.iter().filter(|name| ![outside, UNKNOWN].contains(*name));
            others.map(|name| (*name).to_owned()).collect()
        };
        let way = |outside: &str| {
            let rest = rest(outside);
            // BIOES of single words alone, and IOE, have neither B- nor I-.
            let usual = !rest.is_empty() && rest.iter().all(|tag| prefixed(tag).is_some());
            form(&rest)
                .or(usual.then_some(FORMS[0]))
                .or_else(|| FORMS.into_iter().skip(1).find(|form| pairs(*form, &rest)))
        };
        if has(OUTSIDE) {
            return Self {
                form: way(OUTSIDE),
                outside: OUTSIDE.to_owned(),
                prefixed_outside: false,
                literal: false,
            };
        }
        let lower = |outside: &str| {
            let rest = rest(outside);
            rest.iter().all(|name| !name.starts_with(char::is_uppercase))
        };
        let other = MARKS.into_iter().find(|other| has(other) && (*other != "o" || lower(other)));
        let outside = other.unwrap_or(OUTSIDE);
        Self {
            form: way(outside),
            outside: outside.to_owned(),
            prefixed_outside: other.is_none(),
            literal: false,
        }
    }

    /// Every tag but what says O is a type as it stands, or behind `I-` where all are.
    #[must_use]
    pub fn io<'t>(tags: impl IntoIterator<Item = &'t str>) -> Self {
        let names: BTreeSet<&str> = tags.into_iter().collect();
        let found = Self::of(names.iter().copied());
        let inside =
            names.iter().all(|tag| matches!(found.read(tag), Some(None | Some((Prefix::Inside, _)))));
        Self { form: found.form.filter(|_| inside), literal: true, ..found }
    }

    /// Reads one tag: `Some(None)` for O and `_`, `Some(Some((Begin, "PER")))` for B-PER; a type alone is inside. `None` where
    /// the tag is not written as the others are.
    #[must_use]
    pub fn read<'t>(&self, tag: &'t str) -> Option<Option<(Prefix, &'t str)>> {
        if tag == self.outside || tag == UNKNOWN {
            return Some(None);
        }
        match self.form {
            Some(form) => {
                let (prefix, kind) = form(tag)?;
                Some((!self.prefixed_outside || kind != OUTSIDE).then_some((prefix, kind)))
            }
            None => is_type(tag, self.literal).then_some(Some((Prefix::Inside, tag))),
        }
    }

    /// Whether tags are types without a prefix.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.form.is_none()
    }

    /// What says O.
    #[must_use]
    pub fn outside(&self) -> &str {
        &self.outside
    }

    /// Entities of one sentence, as conlleval finds them: what continues nothing begins, and nothing goes on after an end.
    ///
    /// # Errors
    /// The place of a tag that is not written as the others are.
    pub fn entities<S: AsRef<str>>(&self, tags: &[S], tally: &mut Tally) -> Result<Vec<Span>, usize> {
        let mut spans: Vec<Span> = Vec::new();
        // Whether the last span may go on here; and whether it reaches up to here.
        let (mut open, mut near) = (false, false);
        for (word, tag) in tags.iter().enumerate() {
            let Some((prefix, kind)) = self.read(tag.as_ref()).ok_or(word)? else {
                (open, near) = (false, false);
                continue;
            };
            let same = near && spans.last().is_some_and(|last| last.kind == kind);
            let goes_on = open && same && matches!(prefix, Prefix::Inside | Prefix::End);
            tally.add(prefix, goes_on, same);
            match spans.last_mut() {
                Some(last) if goes_on => last.end = word + 1,
                _ => spans.push(Span { start: word, end: word + 1, kind: kind.to_owned() }),
            }
            (open, near) = (!matches!(prefix, Prefix::End | Prefix::Single), true);
        }
        Ok(spans)
    }
}

/// Whether a tag can be the name of a type: a letter and then letters, digits and signs; no prefix without its type.
fn is_type(tag: &str, literal: bool) -> bool {
    const LONGEST: usize = 60;
    let generic = tag.strip_prefix("LABEL_").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let known = |c: char| c.is_alphanumeric() || "_-./:&+".contains(c);
    tag.starts_with(char::is_alphabetic)
        && tag.len() <= LONGEST
        && tag.chars().all(known)
        && !generic
        && (literal || !is_bare(tag))
}

/// How often entities begin and end in each way, from which a scheme has its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    begin: usize,
    inside: usize,
    end: usize,
    single: usize,
    /// I- or E- that begin an entity.
    pub inside_begins: usize,
    /// B- right behind an entity of the same type.
    begin_behind: usize,
    /// Ends that another entity of the same type follows at once.
    end_before: usize,
    /// Whether the last was an end.
    after_end: bool,
}

impl Tally {
    fn add(&mut self, prefix: Prefix, goes_on: bool, same: bool) {
        let counter = match prefix {
            Prefix::Begin => &mut self.begin,
            Prefix::Inside => &mut self.inside,
            Prefix::End => &mut self.end,
            Prefix::Single => &mut self.single,
        };
        *counter += 1;
        self.end_before += usize::from(self.after_end && same && !goes_on);
        self.begin_behind += usize::from(prefix == Prefix::Begin && same);
        self.inside_begins += usize::from(matches!(prefix, Prefix::Inside | Prefix::End) && !goes_on);
        self.after_end = prefix == Prefix::End;
    }

    /// The scheme's usual name.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        let Self { begin, inside, end, single, inside_begins, begin_behind, end_before, .. } = *self;
        match () {
            () if begin + inside + end + single == 0 => "no entity",
            () if single > 0 || (begin > 0 && end > 0) => "BIOES",
            () if end > 0 && end == end_before => "IOE1",
            () if end > 0 => "IOE2",
            () if begin == 0 => "IO",
            () if inside_begins > 0 && begin == begin_behind => "IOB1",
            () if inside_begins > 0 => "BIO with I- that begin",
            () => "BIO",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entities of tags that are a whole file, and the scheme's name.
    fn found(tags: &str) -> String {
        let tags: Vec<&str> = tags.split_whitespace().collect();
        let mut tally = Tally::default();
        let spans = Notation::of(tags.iter().copied()).entities(&tags, &mut tally);
        let spans = spans.expect("all are tags");
        let spans: Vec<_> = spans.iter().map(|s| format!("{}{}-{}", s.kind, s.start, s.end)).collect();
        format!("{}: {}", tally.scheme(), spans.join(" "))
    }

    #[test]
    fn every_scheme_gives_its_entities_and_its_name() {
        for (tags, expected) in [
            ("I-A I-A O I-B", "IO: A0-2 B3-4"),
            ("X X O Y", "IO: X0-2 Y3-4"),
            ("I-A B-A I-A O I-B", "IOB1: A0-1 A1-3 B4-5"),
            ("B-A I-A B-A O B-B", "BIO: A0-2 A2-3 B4-5"),
            ("B-A I-A I-B O", "BIO with I- that begin: A0-2 B2-3"),
            ("B-A I-A E-A S-A O S-B", "BIOES: A0-3 A3-4 B5-6"),
            ("B-A L-A U-A U-B O", "BIOES: A0-2 A2-3 B3-4"),
            ("B-A M-A E-A W-B O", "BIOES: A0-3 B3-4"),
            ("S-A O S-B", "BIOES: A0-1 B2-3"),
            ("I-A E-A I-A E-A O E-B", "IOE2: A0-2 A2-4 B5-6"),
            ("I-A E-A I-A I-A O I-B", "IOE1: A0-2 A2-4 B5-6"),
            ("O O", "no entity: "),
            ("B-A E-A I-A E-B", "BIOES: A0-2 A2-3 B3-4"),
        ] {
            assert_eq!(found(tags), expected, "{tags}");
        }
    }

    #[test]
    fn every_habit_of_writing_tags_is_read() {
        for (tags, expected) in [
            ("b-a i-a o", "BIO: a0-2"),
            ("B_A I_A O", "BIO: A0-2"),
            ("A-B A-I O", "BIO: A0-2"),
            ("A_B A_I O B_B", "BIO: A0-2 B3-4"),
            ("b-a i-a 0", "BIO: a0-2"),
            ("B-A I-A _ _", "BIO: A0-2"),
            ("B-A I-A - -", "BIO: A0-2"),
            ("B-A I-A B-O I-O", "BIO: A0-2"),
            ("x x o y", "IO: x0-2 y3-4"),
            ("E-MAIL O PHONE", "IO: E-MAIL0-1 PHONE2-3"),
            ("HEPATITIS-B O FLU", "IO: HEPATITIS-B0-1 FLU2-3"),
            ("B-A I-A", "BIO: A0-2"),
        ] {
            assert_eq!(found(tags), expected, "{tags}");
        }
        let io = Notation::io(["B-12", "O", "I-95"]);
        assert_eq!(io.read("B-12"), Some(Some((Prefix::Inside, "B-12"))));
        assert_eq!(Notation::io(["I-A", "O"]).read("I-A"), Some(Some((Prefix::Inside, "A"))));
    }

    #[test]
    fn what_is_not_written_as_the_others_is_no_tag() {
        for (tags, bad) in [
            ("B-A O o", 2),
            ("B-A O A", 2),
            ("B-A O X-A", 2),
            ("B-A O B-", 2),
            ("B-A O 0", 2),
            ("B I O", 0),
            ("O LABEL_1", 1),
            ("B_A I_A O A", 3),
            ("O PER !", 2),
            ("O PER .", 2),
        ] {
            let tags: Vec<&str> = tags.split_whitespace().collect();
            let notation = Notation::of(tags.iter().copied());
            assert_eq!(notation.entities(&tags, &mut Tally::default()), Err(bad), "{tags:?}");
        }
    }
}
