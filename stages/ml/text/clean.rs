//! Cleaning of raw lines, each filter counted: encoding repaired, NFC, invisible characters and white space,
//! length, share of letters, exact and near duplicates. What is longer than the limit is cut. What remains is kept with its
//! source and line number.

mod cut;

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::{
    corpus::{Line, Text},
    mojibake,
};

/// What a line must be to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Characters a line has at least.
    pub shortest: usize,
    /// Characters a line has at most; longer ones are cut.
    pub longest: usize,
    /// Share of letters among the characters that are no spaces, at least.
    #[schemars(range(min = 0, max = 1))]
    pub letters: f64,
    /// Whether of lines that differ in case, digits and punctuation alone only the first is kept.
    pub near_duplicates: bool,
}

impl Default for Rules {
    /// 15 to 350 characters are a sentence's. Two fifths of letters drop formulas and rows of figures, and keep the
    /// heads of clinical notes: names among dates and telephone numbers are what the model is for.
    fn default() -> Self {
        Self { shortest: 15, longest: 350, letters: 0.4, near_duplicates: true }
    }
}

/// What happened to the lines of a source. `lines` - `cut` + `pieces` = `blank` + `short` + `long` + `letters` + `exact` +
/// `near` + `kept`; the changes before them are counted by line and may overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Lines read.
    pub lines: usize,
    /// Changed: double-encoded UTF-8 repaired.
    pub repaired: usize,
    /// Changed: soft hyphens, zero-width and control characters removed.
    pub invisible: usize,
    /// Changed: composed to NFC.
    pub composed: usize,
    /// Changed: runs of white space folded.
    pub folded: usize,
    /// Dropped: nothing but white space.
    pub blank: usize,
    /// Dropped: shorter than [`Rules::shortest`].
    pub short: usize,
    /// Dropped: longer than [`Rules::longest`] without a space in it where it could be cut.
    pub long: usize,
    /// Dropped: less than [`Rules::letters`].
    pub letters: usize,
    /// Dropped: the same line was kept before.
    pub exact: usize,
    /// Dropped: the same line but for case, digits and punctuation was kept before.
    pub near: usize,
    /// What remains.
    pub kept: usize,
    /// Characters of all lines, after the changes.
    pub characters: usize,
    /// Characters of the lines that remain.
    pub characters_kept: usize,
    /// Lines longer than [`Rules::longest`], which were cut.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cut: usize,
    /// What they were cut into.
    #[serde(default, skip_serializing_if = "is_none")]
    pub pieces: usize,
}

/// Reports of texts that were all short enough say nothing of pieces.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_none(number: &usize) -> bool {
    *number == 0
}

impl Counts {
    /// Sums over sources.
    #[must_use]
    pub fn total<'a>(counts: impl IntoIterator<Item = &'a Self>) -> Self {
        counts.into_iter().fold(Self::default(), |sum, one| Self {
            lines: sum.lines + one.lines,
            repaired: sum.repaired + one.repaired,
            composed: sum.composed + one.composed,
            invisible: sum.invisible + one.invisible,
            folded: sum.folded + one.folded,
            blank: sum.blank + one.blank,
            short: sum.short + one.short,
            long: sum.long + one.long,
            letters: sum.letters + one.letters,
            exact: sum.exact + one.exact,
            near: sum.near + one.near,
            kept: sum.kept + one.kept,
            characters: sum.characters + one.characters,
            characters_kept: sum.characters_kept + one.characters_kept,
            cut: sum.cut + one.cut,
            pieces: sum.pieces + one.pieces,
        })
    }

    /// How many lines were cut and dropped, what share of the characters that is, and why, in one line; `None` when there is
    /// nothing to say but of blank ones.
    #[must_use]
    pub fn dropped(&self, rules: &Rules) -> Option<String> {
        let reasons = [
            (self.long, format!("longer than {} characters", rules.longest)),
            (self.short, format!("shorter than {} characters", rules.shortest)),
            (self.letters, format!("of less than {} % letters", (100.0 * rules.letters).round())),
            (self.exact, "exact duplicates".to_owned()),
            (self.near, "near-duplicates".to_owned()),
        ];
        let dropped: usize = reasons.iter().map(|(count, _)| count).sum();
        let cut = (self.cut > 0).then(|| {
            let Self { cut, pieces, .. } = self;
            let lines = if *cut == 1 { "line" } else { "lines" };
            format!(
                "cleaning cut {cut} {lines} of more than {} characters into {pieces} pieces",
                rules.longest
            )
        });
        if dropped == 0 {
            return cut;
        }
        let why = reasons.iter().filter(|(count, _)| *count > 0);
        let why: Vec<_> = why.map(|(count, reason)| format!("{count} {reason}")).collect();
        let what = if self.cut == 0 { "lines" } else { "lines and pieces" };
        let dropped = format!(
            "{dropped} of {} {what} ({} of the characters): {}",
            self.lines - self.cut + self.pieces - self.blank,
            share(self.characters - self.characters_kept, self.characters),
            why.join(", ")
        );
        Some(match cut {
            None => format!("cleaning dropped {dropped}"),
            Some(cut) => format!("{cut}, and dropped {dropped}"),
        })
    }

    /// What to do when no line remains, by what dropped most.
    #[must_use]
    pub fn way_out(&self) -> &'static str {
        let most = self.long.max(self.short).max(self.letters);
        if most == self.long {
            "put one sentence a line, or raise the limit: `clean = { longest = 5000 }`"
        } else if most == self.short {
            "check the text, or lower the limit: `clean = { shortest = 1 }`"
        } else {
            "check the text, or lower the share of letters: `clean = { letters = 0.0 }`"
        }
    }
}

/// A share in whole per cent, never rounded to nothing or to all.
fn share(part: usize, whole: usize) -> String {
    match (200 * part + whole) / (2 * whole).max(1) {
        0 if part > 0 => "under 1 %".to_owned(),
        100 if part < whole => "over 99 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

/// Lines that were kept, as they read now, and the counts by source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// In the order of the text.
    pub lines: Vec<Line>,
    /// By source name.
    pub counts: BTreeMap<String, Counts>,
}

/// Lines that are looked at side by side, before one after another decides which of equal ones is the first.
const CHUNK: usize = 4096;

/// Applies every filter, in the order of [`Counts`]. Duplicates are looked for across sources; the first is kept.
/// Lines without entities are as welcome as others. What is too long is cut at blank lines, ends of sentences, ends of lines
/// or white space; its pieces are of one document, if only of their own.
#[must_use]
pub fn clean(text: &Text, rules: &Rules) -> Cleaned {
    let mut cleaned = Cleaned::default();
    let mut seen = Seen::default();
    for lines in text.lines.chunks(CHUNK) {
        let tidied: Vec<Tidied> = lines.par_iter().map(|line| Tidied::of(&line.text, rules)).collect();
        for (line, tidied) in lines.iter().zip(tidied) {
            let counts = cleaned.counts.entry(line.source.clone()).or_default();
            *counts = Counts::total([&*counts, &tidied.counts]);
            let document = tidied.cut.then(|| line.document.clone().unwrap_or_else(|| line.id()));
            for (piece, number) in tidied.pieces.into_iter().zip(1..) {
                if !seen.keeps(&piece, counts) {
                    continue;
                }
                let text = piece.text;
                cleaned.lines.push(match &document {
                    None => Line { text, ..line.clone() },
                    Some(_) => Line { text, document: document.clone(), piece: Some(number), ..line.clone() },
                });
            }
        }
    }
    cleaned
}

/// A line as far as it can be looked at alone.
struct Tidied {
    /// The line and its changes; nothing of what is kept.
    counts: Counts,
    /// The line, or what it was cut into.
    pieces: Vec<Piece>,
    cut: bool,
}

struct Piece {
    text: String,
    length: usize,
    standing: Standing,
}

/// Whether a piece stays, as far as it alone decides.
enum Standing {
    Blank,
    Short,
    Long,
    Letters,
    /// Unless it was kept before: what is the same of the same text, and of one that nearly is.
    Kept {
        exact: u128,
        near: Option<u128>,
    },
}

impl Tidied {
    fn of(line: &str, rules: &Rules) -> Self {
        let mut counts = Counts { lines: 1, ..Counts::default() };
        let whole = tidy(line, &mut counts);
        let text = fold(&whole);
        counts.folded += usize::from(text != whole);
        let piece = Piece::of(text, rules);
        if piece.length <= rules.longest {
            return Self { counts, pieces: vec![piece], cut: false };
        }
        let pieces: Vec<Piece> = cut::pieces(&whole, rules.shortest, rules.longest)
            .into_iter()
            .map(|piece| Piece::of(fold(piece), rules))
            .collect();
        counts.cut = 1;
        counts.pieces = pieces.len();
        Self { counts, pieces, cut: true }
    }
}

impl Piece {
    fn of(text: String, rules: &Rules) -> Self {
        let length = text.chars().count();
        let standing = if text.is_empty() {
            Standing::Blank
        } else if length < rules.shortest {
            Standing::Short
        } else if length > rules.longest {
            Standing::Long
        } else if share_of_letters(&text) < rules.letters {
            Standing::Letters
        } else {
            let near = rules.near_duplicates.then(|| hash(&key(&text)));
            Standing::Kept { exact: hash(&text), near }
        };
        Self { text, length, standing }
    }
}

/// Half of a text's BLAKE3 hash: of a billion lines, two that differ have the same with a probability below 10^-20.
fn hash(text: &str) -> u128 {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    u128::from_le_bytes(half)
}

/// What was kept before.
#[derive(Default)]
struct Seen {
    exact: HashSet<u128>,
    near: HashSet<u128>,
}

impl Seen {
    /// Whether a piece stays; and counts it.
    fn keeps(&mut self, piece: &Piece, counts: &mut Counts) -> bool {
        counts.characters += piece.length;
        let dropped = match piece.standing {
            Standing::Blank => &mut counts.blank,
            Standing::Short => &mut counts.short,
            Standing::Long => &mut counts.long,
            Standing::Letters => &mut counts.letters,
            Standing::Kept { exact, .. } if !self.exact.insert(exact) => &mut counts.exact,
            Standing::Kept { near: Some(near), .. } if !self.near.insert(near) => &mut counts.near,
            Standing::Kept { .. } => {
                counts.kept += 1;
                counts.characters_kept += piece.length;
                return true;
            }
        };
        *dropped += 1;
        false
    }
}

/// The changes that keep a line's meaning, counted, but for white space, which says where a long text may be cut.
fn tidy(line: &str, counts: &mut Counts) -> String {
    let mut text = line.to_owned();
    let (mut repaired, mut invisible) = (0, 0);
    loop {
        // Half of a double-encoded letter may be a soft hyphen, and an invisible character may stand between the halves.
        if let Some(better) = mojibake::repair(&text) {
            repaired = 1;
            text = better;
        } else if text.contains(is_invisible) {
            invisible = 1;
            text.retain(|c| !is_invisible(c));
        } else {
            break;
        }
    }
    counts.repaired += repaired;
    counts.invisible += invisible;
    if is_nfc_quick(text.chars()) != IsNormalized::Yes {
        let composed: String = text.nfc().collect();
        if composed != text {
            counts.composed += 1;
            text = composed;
        }
    }
    text
}

/// Soft hyphen, zero-width and direction marks, control characters that are no white space.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
        || (c.is_control() && !c.is_whitespace())
}

fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

/// Share of letters among the characters that are no spaces; 0 when there are none.
#[must_use]
pub fn share_of_letters(text: &str) -> f64 {
    let (mut letters, mut all) = (0_u32, 0_u32);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        all += 1;
        letters += u32::from(c.is_alphabetic());
    }
    if all == 0 { 0.0 } else { f64::from(letters) / f64::from(all) }
}

/// What two texts share that say the same: NFKC, case folded, every number as one `0` (also 12/03/2024 and 1 200,50),
/// punctuation dropped, one space between words. A text without letters and digits is its own key.
#[must_use]
pub fn key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    // What stands between the last kept character and this one: nothing, or something dropped.
    let mut gap = false;
    let mut number = false;
    for c in text.nfkc().flat_map(char::to_lowercase) {
        if c.is_numeric() {
            if !number {
                if gap && !key.is_empty() {
                    key.push(' ');
                }
                key.push('0');
            }
            number = true;
            gap = false;
        } else if c.is_alphabetic() || unicode_normalization::char::is_combining_mark(c) {
            if gap && !key.is_empty() {
                key.push(' ');
            }
            match c {
                'ß' => key.push_str("ss"),
                'ς' => key.push('σ'),
                c => key.push(c),
            }
            number = false;
            gap = false;
        } else {
            gap = true;
        }
    }
    if key.is_empty() { text.trim().to_owned() } else { key.nfc().collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(lines: &[&str]) -> Text {
        let lines = lines.iter().enumerate().map(|(i, line)| Line::new("a", i + 1, *line)).collect();
        Text { lines }
    }

    #[test]
    fn every_filter_counts_what_it_did() {
        let long = "mot ".repeat(100);
        let endless = "x".repeat(400);
        let cleaned = clean(
            &text(&[
                "Le patient rentre chez lui le 12/03/2024.",
                "Le patient est rÃ©hospitalisÃ© demain.",
                "Une coo\u{ad}pération   étroite avec la famille.",
                "Un e\u{301}tat stable depuis hier soir.",
                "",
                " \u{a0} ",
                "Trop court.",
                &long,
                &endless,
                "12,5 mg - 13:30 - 0,25 / 7",
                "Le patient rentre chez lui le 12/03/2024.",
                "le patient rentre chez lui, le 1/4/2025 !",
                "Le patient rentre chez elle le 12/03/2024.",
            ]),
            &Rules::default(),
        );
        let expected = Counts {
            lines: 13,
            repaired: 1,
            composed: 1,
            invisible: 1,
            // also the two lines that were nothing but spaces or ended with one
            folded: 3,
            blank: 2,
            short: 1,
            long: 1,
            letters: 1,
            exact: 1,
            near: 1,
            kept: 7,
            characters: 1108,
            characters_kept: 589,
            cut: 2,
            pieces: 3,
        };
        assert_eq!(cleaned.counts["a"], expected);
        let whole = cleaned.lines.iter().filter(|line| line.piece.is_none());
        let kept: Vec<_> = whole.map(|line| (line.number, line.text.as_str())).collect();
        assert_eq!(
            kept,
            [
                (1, "Le patient rentre chez lui le 12/03/2024."),
                (2, "Le patient est réhospitalisé demain."),
                (3, "Une coopération étroite avec la famille."),
                (4, "Un état stable depuis hier soir."),
                (13, "Le patient rentre chez elle le 12/03/2024."),
            ]
        );
        assert_eq!(Counts::total([&expected, &expected]).kept, 14);
        assert_eq!(
            expected.dropped(&Rules::default()).as_deref(),
            Some(
                "cleaning cut 2 lines of more than 350 characters into 3 pieces, and dropped 5 of 12 lines and pieces (47 % of \
                 the characters): 1 longer than 350 characters, 1 shorter than 15 characters, 1 of less than 40 % letters, 1 exact duplicates, 1 near-duplicates"
            )
        );
        assert_eq!(
            Counts { lines: 3, blank: 1, kept: 2, ..Counts::default() }.dropped(&Rules::default()),
            None
        );
    }

    #[test]
    fn a_long_text_is_cut_and_its_pieces_are_of_one_document() {
        let sentence = |name: &str| {
            format!("{name} a été adressée au centre par le docteur Martin pour un bilan complet. ")
        };
        let long: String =
            ["Mme Petit", "Mme Roy", "Mme Leroux", "Mme Blanc", "Mme Morel"].map(sentence).concat();
        let mut given = text(&[&long, "Une ligne assez courte pour rester.", &long]);
        given.lines[2].document = Some("dossier".into());
        let rules = Rules { longest: 200, ..Rules::default() };
        let cleaned = clean(&given, &rules);
        let said: Vec<_> = cleaned.lines.iter().map(|line| (line.id(), line.group())).collect();
        let expected = [("a-1.1", "a/a-1"), ("a-1.2", "a/a-1"), ("a-1.3", "a/a-1"), ("a-2", "a-2")];
        assert_eq!(said, expected.map(|(id, group)| (id.to_owned(), group.to_owned())));
        assert!(cleaned.lines.iter().all(|line| line.text.ends_with('.')), "{:?}", cleaned.lines);
        let joined: Vec<_> = cleaned.lines[..3].iter().map(|line| line.text.as_str()).collect();
        assert_eq!(joined.join(" "), long.trim_end(), "nothing is lost");
        let counts = cleaned.counts["a"];
        assert_eq!((counts.cut, counts.pieces, counts.exact, counts.kept), (2, 6, 3, 4));
        let short =
            serde_json::to_string(&clean(&text(&["Une ligne courte."]), &rules).counts).expect("json");
        assert!(!short.contains("cut"), "{short}");
    }

    #[test]
    fn near_duplicates_are_kept_when_asked() {
        let lines = text(&["Article 12 du code de la santé", "Article 13 du code de la santé"]);
        assert_eq!(clean(&lines, &Rules::default()).lines.len(), 1);
        let rules = Rules { near_duplicates: false, ..Rules::default() };
        assert_eq!(clean(&lines, &rules).lines.len(), 2);
    }

    #[test]
    fn keys_fold_case_digits_and_punctuation() {
        assert_eq!(key("L’ÉTÉ, à 12,5 °C le 12/03/2024 !"), "l été à 0 c le 0");
        assert_eq!(key("Jean-Baptiste"), key("jean baptiste"));
        assert_eq!(key("e\u{301}"), key("É"));
        assert_eq!(key("x2 y 10 000 €"), "x0 y 0");
        assert_eq!(key("ﬁn"), "fin");
        assert_ne!(key("!!"), key("??"));
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(lines in prop::collection::vec("[ a-zé\u{ad}\u{301}Ã©0-9]{0,40}", 0..20)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let rules = Rules { shortest: 3, longest: 15, ..Rules::default() };
            let once = clean(&text(&lines), &rules);
            let again = clean(&Text { lines: once.lines.clone() }, &rules);
            prop_assert_eq!(&again.lines, &once.lines);
            let c = once.counts.get("a").copied().unwrap_or_default();
            prop_assert_eq!(c.lines + c.pieces - c.cut, c.blank + c.short + c.long + c.letters + c.exact + c.near + c.kept);
        }
    }
}
