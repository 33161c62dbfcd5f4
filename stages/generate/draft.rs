//! A sentence in the making: slots become words, and entities keep their marks.

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    french::{Lead, article_length, capital, join},
    lexicon::{Entry, Kind, Lexicon, Table},
    shares::{Part, Shares},
    template::{Form, Noun, Piece},
};

/// Where an entity is, in bytes of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
    /// PER, LOC, ORG, MISC.
    pub(super) kind: &'static str,
}

/// Text with its entities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marked {
    /// What it says.
    pub(super) text: String,
    /// Ascending and disjoint.
    pub(super) marks: Vec<Mark>,
}

impl Marked {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), marks: Vec::new() }
    }

    /// `title`, and after it an entity of its own.
    fn titled(title: &str, name: &str, kind: &'static str) -> Self {
        let text = format!("{title}{name}");
        let mark = Mark { start: title.len(), end: text.len(), kind };
        Self { text, marks: vec![mark] }
    }

    /// Appends `other`.
    pub(super) fn push(&mut self, other: &Self) {
        let offset = self.text.len();
        self.text.push_str(&other.text);
        self.marks.extend(other.marks.iter().map(|mark| Mark {
            start: mark.start + offset,
            end: mark.end + offset,
            ..*mark
        }));
    }

    /// Replaces the first `cut` bytes by `before`, which no entity holds.
    fn lead(self, before: &str, cut: usize) -> Self {
        let moved = |at: usize| at.max(cut) - cut + before.len();
        let marks =
            self.marks.iter().map(|mark| Mark { start: moved(mark.start), end: moved(mark.end), ..*mark });
        Self { marks: marks.collect(), text: format!("{before}{}", &self.text[cut..]) }
    }

    /// With a capital at the start. French capitals are as long as their small letters in UTF-8.
    pub(super) fn capitalised(self) -> Self {
        Self { text: capital(&self.text), ..self }
    }
}

/// Someone in the sentence.
#[derive(Clone, Debug)]
struct Person {
    woman: bool,
    first: String,
    last: &'static str,
}

/// The kin of person 1: bears the same family name.
const KIN: usize = 4;

/// Fills the slots of one sentence: the same number is the same person, and no name comes twice by chance.
pub(super) struct Draft<'a> {
    lexicon: &'a Lexicon,
    part: Part,
    rng: &'a mut ChaCha8Rng,
    persons: [Option<Person>; 10],
    said: Vec<String>,
    /// The town in the name of an institution, for the next mention of a town: the CHU of Nantes is in Nantes.
    town: Option<String>,
    /// How many entries are being filled: above 0, a town is part of a name.
    depth: usize,
}

impl<'a> Draft<'a> {
    /// `woman`: whether person 1 is one; `None` leaves it to chance.
    pub(super) fn new(
        lexicon: &'a Lexicon,
        part: Part,
        rng: &'a mut ChaCha8Rng,
        woman: Option<bool>,
    ) -> Result<Self, String> {
        let mut draft = Self {
            lexicon,
            part,
            rng,
            persons: std::array::from_fn(|_| None),
            said: Vec::new(),
            town: None,
            depth: 0,
        };
        if let Some(woman) = woman {
            draft.meet(1, Some(woman), false)?;
        }
        Ok(draft)
    }

    /// Fills a frame.
    pub(super) fn fill(&mut self, pieces: &[Piece]) -> Result<Marked, String> {
        let mut marked = Marked::default();
        for piece in pieces {
            let part = match piece {
                Piece::Text(text) => Marked::plain(text),
                Piece::Optional(inner) if self.rng.random_bool(0.5) => self.fill(inner)?,
                Piece::Optional(_) => continue,
                Piece::Choice(branches) => {
                    let branch = self.rng.random_range(0..branches.len());
                    self.fill(&branches[branch])?
                }
                Piece::Agreement(person, feminine, masculine) => {
                    Marked::plain(if self.person(*person, false)?.woman { feminine } else { masculine })
                }
                Piece::Number(low, high) => Marked::plain(self.rng.random_range(*low..=*high).to_string()),
                Piece::Person(noun, person, form) => self.mention(*noun, *person, *form)?,
                Piece::Table(noun, name) => self.entry(*noun, name)?,
            };
            marked.push(&part);
        }
        Ok(marked)
    }

    fn entry(&mut self, noun: Noun, name: &str) -> Result<Marked, String> {
        if let Some(text) = self.moment(name) {
            return Ok(Marked::plain(text));
        }
        let lexicon = self.lexicon;
        match name {
            "rose" => {
                let name = self.name(&lexicon.names.words)?;
                return Ok(Marked::titled("", name, "PER"));
            }
            "homonym" => return Ok(Marked::plain(self.name(&lexicon.names.towns)?)),
            _ => {}
        }
        let table = lexicon.tables.get(name).ok_or_else(|| format!("no table is called `{name}`"))?;
        let town = if name == "commune" && self.depth == 0 { self.town.take() } else { None };
        let mut marked = Marked::plain(town.clone().unwrap_or_default());
        for _ in 0..20 {
            if town.is_some() {
                break;
            }
            let entry = self.choose(table)?;
            self.depth += 1;
            let filled = self.fill(&entry.pieces);
            self.depth -= 1;
            marked = filled?;
            if !self.said.contains(&marked.text) {
                break;
            }
        }
        if name == "commune" && self.depth > 0 {
            self.town = Some(marked.text.clone());
        }
        self.said.push(marked.text.clone());
        if let Kind::Entity(kind) = table.kind {
            let mark = Mark { start: article_length(&marked.text), end: marked.text.len(), kind };
            marked.marks = vec![mark];
        }
        if noun.lead == Lead::Hyphens {
            marked.text = marked.text.replace(' ', "-");
        }
        let (mut before, cut) = join(noun.lead, &marked.text, table.kind == Kind::Entity("LOC"));
        if noun.lead == Lead::Code {
            before = self.code(table, &marked.text)?;
        }
        let led = marked.lead(&before, cut);
        Ok(if noun.capital || noun.lead == Lead::Capital { led.capitalised() } else { led })
    }

    /// A name or a pattern; a name two times of five, where a table has both.
    fn choose(&mut self, table: &'a Table) -> Result<&'a Entry, String> {
        let dealt = table.dealt.of(self.source());
        let entries = if table.common.is_empty() || (!dealt.is_empty() && self.rng.random_bool(0.4)) {
            dealt
        } else {
            &table.common
        };
        entries.choose(self.rng).ok_or_else(|| "a table has nothing for this part".to_owned())
    }

    /// Whose names the next draw uses: unlabelled text borrows three of ten from train.
    fn source(&mut self) -> Part {
        if self.part == Part::Unlabelled && self.rng.random_bool(0.3) { Part::Train } else { self.part }
    }

    /// `44000 ` for Nantes; larger towns have several codes.
    fn code(&mut self, table: &Table, name: &str) -> Result<String, String> {
        let found = Part::ALL.into_iter().flat_map(|part| table.dealt.of(part)).find_map(|entry| {
            (entry.pieces == [Piece::Text(name.to_owned())]).then_some(entry.code).flatten()
        });
        let start = found.ok_or_else(|| format!("`{name}` has no postal code"))?;
        let rest: &[&str] = match name {
            // Districts.
            "Paris" | "Lyon" | "Marseille" => &["001", "003", "005", "008"],
            _ => &["000", "100", "200", "300"],
        };
        let rest = rest.choose(self.rng).copied().unwrap_or("000");
        Ok(format!("{start}{} ", &rest[start.len() - 2..]))
    }

    fn mention(&mut self, noun: Noun, number: usize, form: Form) -> Result<Marked, String> {
        let Person { woman, first, last } = self.person(number, form == Form::Town)?;
        let title = |short: bool| match (woman, short) {
            (true, true) => "Mme ",
            (true, false) => "Madame ",
            (false, true) => "M. ",
            (false, false) => "Monsieur ",
        };
        let upper = last.to_uppercase();
        let initials: Vec<String> =
            first.split('-').filter_map(|name| name.chars().next()).map(|c| format!("{c}.")).collect();
        let initials = match initials.join("-") {
            // M. Moreau is somebody else.
            title if title == "M." => first.clone(),
            initials => initials,
        };
        let full = format!("{first} {last}");
        let (title, name) = match (form, self.rng.random_range(0..10)) {
            (Form::Full, _) => ("", full),
            (Form::Register, _) => ("", format!("{upper} {first}")),
            (Form::First, _) => ("", first),
            (Form::Last, _) => ("", last.to_owned()),
            (Form::Upper, _) => ("", upper),
            (Form::Initial, _) => ("", format!("{initials} {last}")),
            (Form::Titled | Form::Town, 0..=3) => (title(true), last.to_owned()),
            (Form::Titled | Form::Town, 4..=5) => (title(false), last.to_owned()),
            (Form::Titled | Form::Town, 6) => (title(true), upper),
            (Form::Titled | Form::Town, 7) | (Form::TitledFull, 1..=3) => (title(false), full),
            (Form::TitledFull, 0) => (title(true), format!("{first} {upper}")),
            (Form::Titled | Form::Town | Form::TitledFull, _) => (title(true), full),
            (Form::Doctor, 0..=3) => ("le Dr ", last.to_owned()),
            (Form::Doctor, 4) => ("le docteur ", last.to_owned()),
            (Form::Doctor, 5) => ("le docteur ", full),
            (Form::Doctor, 6..=7) => ("le Dr ", full),
            (Form::Doctor, 8) => ("le Pr ", last.to_owned()),
            (Form::Doctor, _) => ("le Dr ", format!("{initials} {last}")),
        };
        let marked = Marked::titled(title, &name, "PER");
        let (before, cut) = join(noun.lead, &marked.text, false);
        let led = marked.lead(&before, cut);
        Ok(if noun.capital { led.capitalised() } else { led })
    }

    fn person(&mut self, number: usize, town: bool) -> Result<Person, String> {
        match self.persons.get(number) {
            Some(Some(person)) => Ok(person.clone()),
            Some(None) => self.meet(number, None, town),
            None => Err(format!("there is no person {number}")),
        }
    }

    fn meet(&mut self, number: usize, woman: Option<bool>, town: bool) -> Result<Person, String> {
        let names = &self.lexicon.names;
        let woman = woman.unwrap_or_else(|| self.rng.random_bool(0.5));
        let first = self.name(if woman { &names.women } else { &names.men })?;
        // The ambiguous ones come up on their own too, but seldom.
        let town = town || self.rng.random_bool(0.04);
        let last = match &self.persons[1] {
            Some(first) if number == KIN => first.last,
            None if number == KIN => self.person(1, false)?.last,
            _ => self.name(if town { &names.towns } else { &names.last })?,
        };
        let compound = match woman {
            true if self.rng.random_bool(0.06) => "Marie-",
            false if self.rng.random_bool(0.06) => "Jean-",
            _ => "",
        };
        let whole = compound.is_empty() || first.contains('-') || compound.starts_with(first);
        let first = if whole { first.to_owned() } else { format!("{compound}{first}") };
        let person = Person { woman, first, last };
        self.persons[number] = Some(person.clone());
        Ok(person)
    }

    fn name(&mut self, shares: &'a Shares<&'static str>) -> Result<&'static str, String> {
        for _ in 0..20 {
            let Some(&name) = shares.of(self.source()).choose(self.rng) else { break };
            if !self.said.iter().any(|said| said == name) {
                self.said.push(name.to_owned());
                return Ok(name);
            }
        }
        Err("a list of names has nothing more for this part".to_owned())
    }

    /// Dates, hours, telephone numbers. The numbers are among those that are kept for fiction
    /// (ARCEP, decision 2018-0881, 2.3.9).
    fn moment(&mut self, name: &str) -> Option<String> {
        const MONTHS: [&str; 12] = [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ];
        const FICTION: [&str; 6] = ["01 99 00", "02 61 91", "03 53 01", "04 65 71", "05 36 49", "06 39 98"];
        let (day, month) = (self.rng.random_range(1..=28), self.rng.random_range(1..=12));
        let ordinal = if day == 1 { "1er".to_owned() } else { day.to_string() };
        let words = format!("{ordinal} {}", MONTHS[month - 1]);
        let date = |year: i32, style: u32| match style {
            0..=3 => format!("{words} {year}"),
            4..=7 => format!("{day:02}/{month:02}/{year}"),
            _ => format!("{day:02}/{month:02}/{:02}", year % 100),
        };
        let style = self.rng.random_range(0..10);
        Some(match name {
            "date" => date(self.rng.random_range(2019..=2026), style),
            "naissance" => date(self.rng.random_range(1930..=2004), style.min(7)),
            "date_courte" => format!("{day:02}/{month:02}"),
            "jourmois" => words,
            "heure" => {
                let (hour, minute) = (self.rng.random_range(8..=18), self.rng.random_range(0..4) * 15);
                match (style, minute) {
                    (0..=4, 0) => format!("{hour} h"),
                    (0..=4, _) => format!("{hour} h {minute:02}"),
                    (5..=7, _) => format!("{hour}h{minute:02}"),
                    _ => format!("{hour}:{minute:02}"),
                }
            }
            "tel" => {
                let start = FICTION.choose(self.rng).copied().unwrap_or(FICTION[0]);
                let (a, b) = (self.rng.random_range(0..100), self.rng.random_range(0..100));
                let number = format!("{start} {a:02} {b:02}");
                if style < 7 { number } else { number.replace(' ', ".") }
            }
            _ => return None,
        })
    }
}
