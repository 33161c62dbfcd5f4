//! Label sets: entity types, the IO and BIO schemes, and the match between a model's labels by name.

use std::collections::BTreeMap;

use stage_contract::StageError;

/// How tags mark where an entity begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `I-PER` only: adjacent entities of one type cannot be told apart.
    Io,
    /// `B-PER I-PER`.
    Bio,
}

/// One label, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tag {
    /// Outside every entity.
    Outside,
    /// Begins an entity of the type with this index into [`Labels::types`].
    Begin(usize),
    /// Is inside an entity of that type.
    Inside(usize),
}

/// A model's labels in the order of its output columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    tags: Vec<Tag>,
    types: Vec<String>,
    scheme: Scheme,
}

impl Labels {
    /// The student's order (FORMATS): O, B-PER, I-PER, B-LOC, I-LOC, B-ORG, I-ORG, then B-MISC, I-MISC with `misc`.
    #[must_use]
    pub fn student(misc: bool) -> Self {
        let kinds = if misc { &["PER", "LOC", "ORG", "MISC"][..] } else { &["PER", "LOC", "ORG"][..] };
        let types: Vec<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
        let mut names = vec!["O".to_owned()];
        let mut tags = vec![Tag::Outside];
        for (index, kind) in types.iter().enumerate() {
            names.extend([format!("B-{kind}"), format!("I-{kind}")]);
            tags.extend([Tag::Begin(index), Tag::Inside(index)]);
        }
        Self { names, tags, types, scheme: Scheme::Bio }
    }

    /// Understands a model's `id2label`, whatever its order. `types` come in the order of first appearance.
    ///
    /// # Errors
    /// Implicit names (`LABEL_0`), no O, no entity type, two labels of one meaning, a B- without its I- or an I- without
    /// its B- beside other B-, a name that is neither O nor B- or I- with a type.
    pub fn parse(names: &[String]) -> Result<Self, StageError> {
        let mut types: Vec<String> = Vec::new();
        let mut tags = Vec::with_capacity(names.len());
        // By meaning, letter case aside: `B-PER` and `B-Per` would be trained apart and scored as one.
        let mut seen: BTreeMap<String, &String> = BTreeMap::new();
        for name in names {
            if name.strip_prefix("LABEL_").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
                return Err(refused(format!("label `{name}` has no name of its own")));
            }
            if let Some(other) = seen.insert(name.to_uppercase(), name) {
                return Err(refused(format!("labels `{other}` and `{name}` mean the same")));
            }
            tags.push(match split_tag(name) {
                Some(None) => Tag::Outside,
                Some(Some((prefix, kind))) => {
                    let index = types.iter().position(|known| known == kind).unwrap_or_else(|| {
                        types.push(kind.to_owned());
                        types.len() - 1
                    });
                    if prefix == Prefix::Begin { Tag::Begin(index) } else { Tag::Inside(index) }
                }
                None => return Err(refused(format!("label `{name}` is neither O nor B- or I- with a type"))),
            });
        }
        if !tags.contains(&Tag::Outside) {
            return Err(refused("label `O` is missing".to_owned()));
        }
        if types.is_empty() {
            return Err(refused("there is no entity type beside `O`".to_owned()));
        }
        let scheme =
            if tags.iter().any(|tag| matches!(tag, Tag::Begin(_))) { Scheme::Bio } else { Scheme::Io };
        for (index, kind) in types.iter().enumerate() {
            if !tags.contains(&Tag::Inside(index)) {
                return Err(refused(format!("label `B-{kind}` has no `I-{kind}`")));
            }
            if scheme == Scheme::Bio && !tags.contains(&Tag::Begin(index)) {
                return Err(refused(format!(
                    "label `I-{kind}` has no `B-{kind}`, though other types have theirs"
                )));
            }
        }
        Ok(Self { names: names.to_vec(), tags, types, scheme })
    }

    /// Number of output columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never true for a parsed set: O is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names in column order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Tags in column order.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Entity types: PER, LOC, ..
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// IO or BIO.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The column of a label name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    /// The column of O.
    #[must_use]
    pub fn outside(&self) -> usize {
        self.tags.iter().position(|t| *t == Tag::Outside).unwrap_or(0)
    }

    /// Index into [`Self::types`] of a type name.
    #[must_use]
    pub fn type_index(&self, name: &str) -> Option<usize> {
        self.types.iter().position(|t| t == name)
    }

    /// Whether `to` may follow `from` (`None` = the start of a text). IO: always. BIO: I-X only after B-X or I-X.
    #[must_use]
    pub fn legal(&self, from: Option<usize>, to: usize) -> bool {
        match (self.scheme, self.tags[to]) {
            (Scheme::Bio, Tag::Inside(kind)) => from
                .is_some_and(|from| matches!(self.tags[from], Tag::Begin(k) | Tag::Inside(k) if k == kind)),
            _ => true,
        }
    }
}

fn refused(message: String) -> StageError {
    StageError::new(message).help(
        "give every label its name under `id2label` in config.json: `O` and, for each type, `I-TYPE` alone \
         or `B-TYPE` and `I-TYPE`",
    )
}

/// What stands before the type in a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `B-`
    Begin,
    /// `I-`
    Inside,
}

/// Reads one tag: `Some(None)` for O, `Some(Some((Begin, "PER")))` for B-PER, `None` for anything else.
#[must_use]
pub fn split_tag(tag: &str) -> Option<Option<(Prefix, &str)>> {
    if tag == "O" {
        return Some(None);
    }
    let (prefix, kind) = tag.split_once('-')?;
    let prefix = match prefix {
        "B" => Prefix::Begin,
        "I" => Prefix::Inside,
        _ => return None,
    };
    (!kind.is_empty() && !kind.contains(char::is_whitespace)).then_some(Some((prefix, kind)))
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

/// Entities of a tag sequence. BIO is read strictly (seqeval `mode="strict", scheme=IOB2`: an I- without its B-
/// is no entity, and an I- of another type ends the one before it); IO joins adjacent words of one type
/// (FORMATS, "Words, labels, rows"). What is no tag counts as O.
#[must_use]
pub fn spans<S: AsRef<str>>(tags: &[S], scheme: Scheme) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    // Whether the last span reaches up to the word before this one.
    let mut open = false;
    for (word, tag) in tags.iter().enumerate() {
        let Some(Some((prefix, kind))) = split_tag(tag.as_ref()) else {
            open = false;
            continue;
        };
        let joins = scheme == Scheme::Io || prefix == Prefix::Inside;
        match spans.last_mut() {
            Some(last) if open && joins && last.kind == kind => last.end = word + 1,
            _ if scheme == Scheme::Io || prefix == Prefix::Begin => {
                spans.push(Span { start: word, end: word + 1, kind: kind.to_owned() });
                open = true;
            }
            _ => open = false,
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn found(text: &str, scheme: Scheme) -> Vec<(usize, usize, String)> {
        spans(&names(text), scheme).into_iter().map(|s| (s.start, s.end, s.kind)).collect()
    }

    fn span(start: usize, end: usize, kind: &str) -> (usize, usize, String) {
        (start, end, kind.to_owned())
    }

    #[test]
    fn the_students_labels_are_in_the_order_of_the_format() {
        let seven = Labels::student(false);
        assert_eq!(seven.names(), names("O B-PER I-PER B-LOC I-LOC B-ORG I-ORG"));
        assert_eq!(seven.tags()[3], Tag::Begin(1));
        assert_eq!(seven.scheme(), Scheme::Bio);
        assert_eq!(Labels::student(true).names()[7..], names("B-MISC I-MISC"));
        assert_eq!(Labels::parse(seven.names()).expect("its own names"), seven);
    }

    #[test]
    fn the_teachers_five_labels_are_io_whatever_their_order() {
        let labels = Labels::parse(&names("I-LOC O I-PER I-MISC I-ORG")).expect("camembert-ner's labels");
        assert_eq!(labels.scheme(), Scheme::Io);
        assert_eq!(labels.outside(), 1);
        assert_eq!(labels.types(), names("LOC PER MISC ORG"));
        assert_eq!(
            labels.tags(),
            [Tag::Inside(0), Tag::Outside, Tag::Inside(1), Tag::Inside(2), Tag::Inside(3)]
        );
        assert_eq!(labels.column("I-ORG"), Some(4));
        assert_eq!(labels.type_index("MISC"), Some(2));
        assert!((0..5).all(|to| labels.legal(None, to)));
    }

    #[test]
    fn implicit_and_incomplete_label_sets_are_refused() {
        for (set, reason) in [
            ("LABEL_0 LABEL_1", "has no name of its own"),
            ("I-PER I-LOC", "`O` is missing"),
            ("O", "no entity type"),
            ("O I-PER I-per", "mean the same"),
            ("O I-PER O", "mean the same"),
            ("O B-PER", "`B-PER` has no `I-PER`"),
            ("O B-PER I-PER I-LOC", "`I-LOC` has no `B-LOC`"),
            ("O PER LOC", "neither O nor B- or I-"),
            ("O B-PER I-PER S-PER", "neither O nor B- or I-"),
            ("O I-", "neither O nor B- or I-"),
        ] {
            let error = Labels::parse(&names(set)).expect_err(set).to_string();
            assert!(error.contains(reason), "{set}: {error}");
        }
    }

    #[test]
    fn in_bio_an_inside_follows_only_its_own_type() {
        let labels = Labels::student(false);
        let at = |name| labels.column(name).expect("a label of the student");
        assert!(!labels.legal(None, at("I-PER")));
        assert!(!labels.legal(Some(at("O")), at("I-PER")));
        assert!(!labels.legal(Some(at("I-LOC")), at("I-PER")));
        assert!(labels.legal(Some(at("B-PER")), at("I-PER")));
        assert!(labels.legal(Some(at("I-PER")), at("I-PER")));
        assert!(labels.legal(Some(at("I-PER")), at("B-PER")));
        assert!(labels.legal(None, at("O")));
    }

    #[test]
    fn bio_is_read_as_strictly_as_seqeval_reads_it() {
        assert_eq!(found("B-PER I-PER O B-LOC", Scheme::Bio), [span(0, 2, "PER"), span(3, 4, "LOC")]);
        assert_eq!(found("I-PER I-PER O", Scheme::Bio), []);
        assert_eq!(found("B-PER I-LOC I-LOC", Scheme::Bio), [span(0, 1, "PER")]);
        assert_eq!(found("B-PER I-LOC I-PER", Scheme::Bio), [span(0, 1, "PER")]);
        assert_eq!(found("B-PER B-PER I-PER", Scheme::Bio), [span(0, 1, "PER"), span(1, 3, "PER")]);
        assert_eq!(found("O I-ORG B-ORG", Scheme::Bio), [span(2, 3, "ORG")]);
        assert_eq!(found("B-PER O I-PER", Scheme::Bio), [span(0, 1, "PER")]);
        assert_eq!(spans::<&str>(&[], Scheme::Bio), []);
    }

    #[test]
    fn io_joins_adjacent_words_of_one_type() {
        assert_eq!(
            found("I-PER I-PER I-LOC O I-LOC", Scheme::Io),
            [span(0, 2, "PER"), span(2, 3, "LOC"), span(4, 5, "LOC")]
        );
        assert_eq!(found("B-PER B-PER", Scheme::Io), [span(0, 2, "PER")]);
    }
}
