//! Label sets: entity types, the IO and BIO schemes, and the match between a model's labels by name.

mod notation;
mod types;

use std::collections::BTreeMap;

use stage_contract::StageError;

use self::notation::{OUTSIDE, form};
pub use self::{
    notation::{Notation, Prefix, Span, Tally, split_tag},
    types::{Policy, Types, same_type},
};

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
    policies: Vec<Policy>,
    scheme: Scheme,
}

impl Labels {
    /// A student's labels: O, then B- and I- of each type.
    #[must_use]
    pub fn bio<S: Into<String>>(types: impl IntoIterator<Item = S>) -> Self {
        let types: Vec<String> = types.into_iter().map(Into::into).collect();
        let mut names = vec!["O".to_owned()];
        let mut tags = vec![Tag::Outside];
        for (index, kind) in types.iter().enumerate() {
            names.extend([format!("B-{kind}"), format!("I-{kind}")]);
            tags.extend([Tag::Begin(index), Tag::Inside(index)]);
        }
        let policies = vec![Policy::Learn; types.len()];
        Self { names, tags, types, policies, scheme: Scheme::Bio }
    }

    /// Understands a model's `id2label`, whatever its order. `types` come in the order of first appearance.
    ///
    /// `B-` and `S-` (also `U-`) begin an entity, `I-` and `E-` (also `M-`, `L-`) continue one; so do `b-`, `B_` and `-B`
    /// after the type. Names without a prefix are types (IO), and a set that writes `B-` before every name says no more
    /// than one without prefixes.
    ///
    /// # Errors
    /// Implicit names (`LABEL_0`), no O, no entity type, two labels of one meaning, a prefix without a type, names with and
    /// without a prefix.
    pub fn parse(names: &[String]) -> Result<Self, StageError> {
        // By meaning, letter case aside: `B-PER` and `B-Per` would be trained apart and scored as one.
        let mut seen: BTreeMap<String, &String> = BTreeMap::new();
        for name in names {
            if name.strip_prefix("LABEL_").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
                return Err(StageError::new(format!("label `{name}` has no name of its own")).help(format!(
                    "write what each label means into config.json, as the model's card says: {}",
                    line(names.len())
                )));
            }
            if name != OUTSIDE
                && let Some(other) = seen.insert(name.to_uppercase(), name)
            {
                return Err(refused(format!("labels `{other}` and `{name}` mean the same")));
            }
        }
        let form = form(names);
        let parts: Vec<(Option<Prefix>, &str)> = names
            .iter()
            .map(|name| match form.and_then(|form| form(name)) {
                Some((prefix, kind)) => (Some(prefix), kind),
                None => (None, name.as_str()),
            })
            .collect();
        let plain = parts.contains(&(None, OUTSIDE));
        let outside =
            |&(prefix, kind): &(Option<Prefix>, &str)| kind == OUTSIDE && (prefix.is_none() || !plain);
        let begins =
            |&(prefix, _): &(Option<Prefix>, &str)| matches!(prefix, Some(Prefix::Begin | Prefix::Single));
        let all_begin = parts.iter().filter(|part| !outside(part)).all(|part| part.0 == Some(Prefix::Begin));
        let mut types: Vec<String> = Vec::new();
        let mut tags = Vec::with_capacity(names.len());
        for (part, name) in parts.iter().zip(names) {
            if outside(part) {
                tags.push(Tag::Outside);
                continue;
            }
            let kind = part.1;
            if kind.is_empty() || kind.contains(char::is_whitespace) || ["B-", "I-"].contains(&name.as_str())
            {
                return Err(refused(format!("label `{name}` names no type")));
            }
            if form.is_some() && part.0.is_none() {
                return Err(StageError::new(format!("label `{name}` has no prefix, though others have theirs"))
                    .help("write `O` in its place under `id2label` in config.json, if it marks no entity, or else `I-` before it"));
            }
            let index = types.iter().position(|known| known == kind).unwrap_or_else(|| {
                types.push(kind.to_owned());
                types.len() - 1
            });
            tags.push(if begins(part) && !all_begin { Tag::Begin(index) } else { Tag::Inside(index) });
        }
        if !tags.contains(&Tag::Outside) {
            return Err(refused("label `O` is missing".to_owned()));
        }
        if types.is_empty() {
            return Err(refused("there is no entity type beside `O`".to_owned()));
        }
        let scheme =
            if tags.iter().any(|tag| matches!(tag, Tag::Begin(_))) { Scheme::Bio } else { Scheme::Io };
        let policies = vec![Policy::Learn; types.len()];
        Ok(Self { names: names.to_vec(), tags, types, policies, scheme })
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

    /// What becomes of the type with this index into [`Self::types`].
    #[must_use]
    pub fn policy(&self, kind: usize) -> Policy {
        self.policies[kind]
    }

    /// The types that have this policy, in order.
    pub fn types_to(&self, policy: Policy) -> impl Iterator<Item = &str> {
        let types = self.types.iter().zip(&self.policies);
        types.filter(move |(_, own)| **own == policy).map(|(name, _)| name.as_str())
    }

    /// The same labels with their types renamed, joined where several get one name, or not to be learned.
    ///
    /// # Errors
    /// `types` names a type that these labels lack, gives a name that no type can have, or leaves none to learn.
    pub fn renamed(&self, types: &Types) -> Result<Self, StageError> {
        let there = self.types.join(", ");
        for (kind, meaning) in types.iter() {
            if self.type_index(kind).is_none() {
                return Err(StageError::new(format!("`types` names {kind}, which the model does not have"))
                    .help(format!("name one of its types: {there}")));
            }
            if meaning.is_empty() || meaning == "O" || meaning.contains(char::is_whitespace) {
                return Err(StageError::new(format!(
                    "`types` calls {kind} `{meaning}`, which is no name of a type"
                ))
                .help("write a name without blanks, `outside` for no entity, or `ignore`"));
            }
            let dropped =
                self.type_index(meaning).is_some() && Types::policy(types.meaning(meaning)) != Policy::Learn;
            if Types::policy(meaning) == Policy::Learn && dropped {
                return Err(StageError::new(format!(
                    "`types` calls {kind} {meaning}, but {meaning} is not learned"
                ))
                .help(format!("give {kind} another name, or leave `{meaning} = ..` out")));
            }
        }
        let (mut names, mut policies): (Vec<String>, Vec<Policy>) = (Vec::new(), Vec::new());
        let index: Vec<usize> = self
            .types
            .iter()
            .map(|kind| {
                let meaning = types.meaning(kind);
                let policy = Types::policy(meaning);
                let name = if policy == Policy::Learn { meaning } else { kind };
                let known = names
                    .iter()
                    .zip(&policies)
                    .position(|known| (known.0.as_str(), *known.1) == (name, policy));
                known.unwrap_or_else(|| {
                    names.push(name.to_owned());
                    policies.push(policy);
                    names.len() - 1
                })
            })
            .collect();
        if !policies.contains(&Policy::Learn) {
            return Err(
                StageError::new("`types` leaves no type to learn").help(format!("keep one of {there}"))
            );
        }
        let tags = self.tags.iter().map(|tag| match *tag {
            Tag::Outside => Tag::Outside,
            Tag::Begin(kind) => Tag::Begin(index[kind]),
            Tag::Inside(kind) => Tag::Inside(index[kind]),
        });
        Ok(Self { tags: tags.collect(), types: names, policies, ..self.clone() })
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

    /// The column that says of a word that it begins an entity of this type, or else that it is inside of one: the first
    /// where several say so (B- and S-), and the other where none does (IO).
    #[must_use]
    pub fn column_of(&self, kind: &str, begins: bool) -> Option<usize> {
        let kind = self.type_index(kind)?;
        let column = |tag| self.tags.iter().position(|t| *t == tag);
        let (begin, inside) = (column(Tag::Begin(kind)), column(Tag::Inside(kind)));
        if begins { begin.or(inside) } else { inside.or(begin) }
    }

    /// The column of O.
    #[must_use]
    pub fn outside(&self) -> usize {
        self.tags.iter().position(|t| *t == Tag::Outside).unwrap_or(0)
    }

    /// Whether a label says where an entity of this type begins.
    #[must_use]
    pub fn marks_begin(&self, kind: usize) -> bool {
        self.tags.contains(&Tag::Begin(kind))
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
        "give every label its name under `id2label` in config.json: `O` and, for each type, `TYPE` or `I-TYPE` alone, \
         `B-TYPE` and `I-TYPE`, or `B-`, `I-`, `E-` and `S-`",
    )
}

/// The line for config.json that names so many labels.
fn line(labels: usize) -> String {
    let names = (0..labels).map(|label| match label {
        0 => "\"0\": \"O\"".to_owned(),
        1 => "\"1\": \"B-PER\"".to_owned(),
        2 => "\"2\": \"I-PER\"".to_owned(),
        label => format!("\"{label}\": \"..\""),
    });
    format!("\"id2label\": {{{}}}", names.collect::<Vec<_>>().join(", "))
}

/// Entities of a tag sequence. BIO is read strictly (seqeval `mode="strict", scheme=IOB2`: an I- without its B-
/// is no entity, and an I- of another type ends the one before it); IO joins adjacent words of one type
/// (docs/formats.md, "Words, labels and windows"). What is no tag counts as O.
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
        let begins = matches!(prefix, Prefix::Begin | Prefix::Single);
        let joins = scheme == Scheme::Io || !begins;
        match spans.last_mut() {
            Some(last) if open && joins && last.kind == kind => last.end = word + 1,
            _ if scheme == Scheme::Io || begins => {
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
        let seven = Labels::bio(["PER", "LOC", "ORG"]);
        assert_eq!(seven.names(), names("O B-PER I-PER B-LOC I-LOC B-ORG I-ORG"));
        assert_eq!(seven.tags()[3], Tag::Begin(1));
        assert_eq!(seven.scheme(), Scheme::Bio);
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
    fn names_that_mean_nothing_are_refused() {
        for (set, reason) in [
            ("LABEL_0 LABEL_1", "has no name of its own"),
            ("I-PER I-LOC", "`O` is missing"),
            ("PER LOC", "`O` is missing"),
            ("O", "no entity type"),
            ("O I-PER I-per", "mean the same"),
            ("O I-PER B-LOC X", "`X` has no prefix"),
            ("O B-PER I-PER [CLS]", "`[CLS]` has no prefix"),
            ("O PER I-", "names no type"),
        ] {
            let error = Labels::parse(&names(set)).expect_err(set).to_string();
            assert!(error.contains(reason), "{set}: {error}");
        }
        let error = Labels::parse(&names("LABEL_0 LABEL_1 LABEL_2 LABEL_3")).expect_err("no names");
        let line = r#""id2label": {"0": "O", "1": "B-PER", "2": "I-PER", "3": ".."}"#;
        assert!(error.advice().is_some_and(|help| help.ends_with(line)), "{:?}", error.advice());
    }

    #[test]
    fn every_habit_of_writing_labels_is_understood() {
        use Tag::{Begin, Inside, Outside};
        for (set, scheme, types, tags) in [
            ("O LOC PER", Scheme::Io, "LOC PER", vec![Outside, Inside(0), Inside(1)]),
            ("O I-PERSON I-GPE_LOC", Scheme::Io, "PERSON GPE_LOC", vec![Outside, Inside(0), Inside(1)]),
            ("B-O B-LOC B-PER", Scheme::Io, "LOC PER", vec![Outside, Inside(0), Inside(1)]),
            ("O B-LOC B-PER", Scheme::Io, "LOC PER", vec![Outside, Inside(0), Inside(1)]),
            ("O E-MAIL PHONE", Scheme::Io, "E-MAIL PHONE", vec![Outside, Inside(0), Inside(1)]),
            ("O B-A I-A E-A S-A", Scheme::Bio, "A", vec![Outside, Begin(0), Inside(0), Inside(0), Begin(0)]),
            ("B-A I-A L-A U-A O", Scheme::Bio, "A", vec![Begin(0), Inside(0), Inside(0), Begin(0), Outside]),
            ("O I-A E-A", Scheme::Io, "A", vec![Outside, Inside(0), Inside(0)]),
            // Types of one word each beside others, and a type that never says where it begins.
            ("O B-A I-A B-B", Scheme::Bio, "A B", vec![Outside, Begin(0), Inside(0), Begin(1)]),
            ("O B-A I-A I-B", Scheme::Bio, "A B", vec![Outside, Begin(0), Inside(0), Inside(1)]),
            (
                "O b-per i-per b-loc i-loc",
                Scheme::Bio,
                "per loc",
                vec![Outside, Begin(0), Inside(0), Begin(1), Inside(1)],
            ),
            ("O B_PER I_PER", Scheme::Bio, "PER", vec![Outside, Begin(0), Inside(0)]),
            ("O PER-B PER-I", Scheme::Bio, "PER", vec![Outside, Begin(0), Inside(0)]),
            ("O B-A M-A E-A S-A", Scheme::Bio, "A", vec![Outside, Begin(0), Inside(0), Inside(0), Begin(0)]),
            ("O HEPATITIS-B FLU", Scheme::Io, "HEPATITIS-B FLU", vec![Outside, Inside(0), Inside(1)]),
            ("O O B-A I-A", Scheme::Bio, "A", vec![Outside, Outside, Begin(0), Inside(0)]),
        ] {
            let labels = Labels::parse(&names(set)).expect(set);
            assert_eq!((labels.scheme(), labels.types().join(" ")), (scheme, types.to_owned()), "{set}");
            assert_eq!(labels.tags(), tags, "{set}");
        }
        let labels = Labels::parse(&names("O B-A I-A E-A S-A I-B")).expect("BIOES");
        assert_eq!((labels.column_of("A", true), labels.column_of("A", false)), (Some(1), Some(2)));
        assert_eq!((labels.column_of("B", true), labels.column_of("C", true)), (Some(5), None));
        assert!(labels.marks_begin(0) && !labels.marks_begin(1));
    }

    #[test]
    fn in_bio_an_inside_follows_only_its_own_type() {
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
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

    fn parse(text: &str) -> Labels {
        Labels::parse(&names(text)).expect("labels")
    }

    fn types(pairs: &[(&str, &str)]) -> Types {
        pairs.iter().copied().collect()
    }

    #[test]
    fn types_are_renamed_joined_and_left_out() {
        let teacher = parse("O I-LOC I-PERSON I-MISC I-ORG I-COMPANY I-DATE");
        let renamed = teacher
            .renamed(&types(&[
                ("PERSON", "PER"),
                ("COMPANY", "ORG"),
                ("MISC", "outside"),
                ("DATE", "ignore"),
            ]))
            .expect("renamed");
        assert_eq!(renamed.types(), ["LOC", "PER", "MISC", "ORG", "DATE"]);
        assert_eq!(renamed.types_to(Policy::Learn).collect::<Vec<_>>(), ["LOC", "PER", "ORG"]);
        assert_eq!(renamed.types_to(Policy::Outside).collect::<Vec<_>>(), ["MISC"]);
        assert_eq!(renamed.types_to(Policy::Ignore).collect::<Vec<_>>(), ["DATE"]);
        assert_eq!(renamed.tags()[4..6], [Tag::Inside(3), Tag::Inside(3)], "two columns of one type");
        assert_eq!(renamed.names(), teacher.names(), "the columns are the model's");
        assert_eq!(teacher.renamed(&Types::default()).expect("as it was"), teacher);
    }

    #[test]
    fn types_that_cannot_be_are_refused() {
        let teacher = parse("O B-PER I-PER B-LOC I-LOC");
        for (wrong, reason) in [
            (vec![("DATE", "outside")], "names DATE, which the model does not have"),
            (vec![("PER", "a b")], "no name of a type"),
            (vec![("PER", "O")], "no name of a type"),
            (vec![("PER", "LOC"), ("LOC", "outside")], "calls PER LOC, but LOC is not learned"),
            (vec![("PER", "outside"), ("LOC", "ignore")], "no type to learn"),
        ] {
            let error = teacher.renamed(&types(&wrong)).expect_err(reason);
            assert!(error.to_string().contains(reason) && error.advice().is_some(), "{error}");
        }
    }
}
