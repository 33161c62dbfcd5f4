//! From raw text to words: French elisions split, hyphenated names kept.

use unicode_normalization::char::is_combining_mark;

use crate::links;

/// `[start, end)` of each word in Unicode scalar values. Elisions are split (`l'`, `d'`, `qu'`, with U+2019 too;
/// *aujourd'hui* is kept), hyphenated names are kept, punctuation stands alone. Numbers keep their separators
/// (12,5 and 12/03/2024), abbreviations and initials their dot (`Dr.`, `J.-B.`), addresses of the net stay whole.
///
/// Words are ascending and disjoint, hold no white space, and cover every other character.
#[must_use]
pub fn words(text: &str) -> Vec<[usize; 2]> {
    let chars: Vec<char> = text.chars().collect();
    let printed = chars.iter().rposition(|c| !c.is_whitespace()).map_or(0, |i| i + 1);
    let mut words = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at].is_whitespace() {
            at += 1;
            continue;
        }
        let end = chars[at..].iter().position(|c| c.is_whitespace()).map_or(chars.len(), |n| at + n);
        let last = end >= printed;
        let links = links::possible(&chars[at..end]);
        while at < end {
            let length = word(&chars[at..end], links, last);
            words.push([at, at + length]);
            at += length;
        }
    }
    words
}

/// Length of the word that begins a chunk without spaces, at least 1. `links`: the chunk may hold an address;
/// `last`: nothing but this chunk is left of the text.
fn word(chunk: &[char], links: bool, last: bool) -> usize {
    if !chunk[0].is_alphanumeric() {
        return punctuation(chunk);
    }
    let link = if links { links::length(chunk) } else { None };
    link.unwrap_or_else(|| letters_and_digits(chunk, last))
}

/// A run of one and the same dot, dash or rule is one word (`...`, `----`); other punctuation stands alone.
fn punctuation(chunk: &[char]) -> usize {
    let run = match chunk[0] {
        '.' | '-' | '_' | '*' | '=' => chunk.iter().take_while(|&&c| c == chunk[0]).count(),
        _ => 1,
    };
    run + chunk[run..].iter().take_while(|&&c| is_attached(c)).count()
}

/// Marks and invisible characters belong to the character before them.
fn is_attached(c: char) -> bool {
    is_combining_mark(c) || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{2bc}')
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}')
}

fn letters_and_digits(chunk: &[char], last: bool) -> usize {
    let inside = |i: usize| chunk.get(i).is_some_and(|c| c.is_alphanumeric());
    let mut at = 1;
    while let Some(&c) = chunk.get(at) {
        let after_digit =
            || chunk[..at].iter().rev().find(|c| !is_attached(**c)).is_some_and(char::is_ascii_digit);
        if c.is_alphanumeric() || is_attached(c) {
            at += 1;
        } else if is_apostrophe(c) {
            match elision(&chunk[..at], &chunk[at + 1..]) {
                Elision::Splits => return at + 1,
                Elision::Joins if inside(at + 1) => at += 1,
                Elision::Joins => break,
            }
        } else if c == '.' && abbreviates(&chunk[..at], &chunk[at + 1..], last) {
            at += 1;
            // `S.A.M.U.` and `J.-B.` go on, `M.` does not.
            let goes_on = inside(at) || (is_hyphen_at(chunk, at) && inside(at + 1));
            if !goes_on {
                return at;
            }
        } else if (is_hyphen(c) && inside(at + 1))
            || (matches!(c, '.' | ',' | '/' | ':')
                && chunk.get(at + 1).is_some_and(char::is_ascii_digit)
                && after_digit())
        {
            at += 1;
        } else {
            break;
        }
    }
    at
}

fn is_hyphen_at(chunk: &[char], at: usize) -> bool {
    chunk.get(at).copied().is_some_and(is_hyphen)
}

enum Elision {
    /// The word ends with the apostrophe.
    Splits,
    /// The apostrophe is a letter of the word.
    Joins,
}

/// `lorsqu'`: looking at more would take long for a word of many apostrophes.
const LONGEST_STEM: usize = 6;

/// Decides an apostrophe between `before` (from the start of the word) and `after`.
fn elision(before: &[char], after: &[char]) -> Elision {
    if before.len() > LONGEST_STEM {
        return Elision::Joins;
    }
    let stem: String = before.iter().flat_map(|c| c.to_lowercase()).collect();
    match stem.as_str() {
        "l" | "d" | "qu" | "lorsqu" | "puisqu" | "jusqu" | "quoiqu" => Elision::Splits,
        // `N'Diaye` and `M'Bappé` are names: an elision stands before a vowel or h.
        "j" | "c" | "n" | "s" | "m" | "t" => match after {
            [first, second, ..]
                if first.is_uppercase()
                    && second.is_lowercase()
                    && !elides(*first)
                    && before[0].is_uppercase() =>
            {
                Elision::Joins
            }
            _ => Elision::Splits,
        },
        _ => Elision::Joins,
    }
}

fn elides(c: char) -> bool {
    let base = unicode_normalization::UnicodeNormalization::nfd(std::iter::once(c)).next().unwrap_or(c);
    matches!(base.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'h' | 'œ' | 'Œ' | 'æ' | 'Æ')
}

/// Abbreviations that are no words of their own, so that their dot ends no sentence.
const ABBREVIATIONS: [&str; 24] = [
    "M", "MM", "Mme", "Mmes", "Mlle", "Mlles", "Dr", "Drs", "Pr", "Prs", "Mgr", "St", "Ste", "Cie", "Bd",
    "bd", "Av", "etc", "cf", "Cf", "tél", "Tél", "hab", "réf",
];

/// Longer runs of letters and dots are no abbreviation; also keeps the scan linear.
const LONGEST_ABBREVIATION: usize = 24;

/// Whether the dot between `before` and `after` belongs to the word. `last`: as in [`word`].
fn abbreviates(before: &[char], after: &[char], last: bool) -> bool {
    if before.len() > LONGEST_ABBREVIATION {
        return false;
    }
    let ends = after.is_empty();
    let segment = before.iter().rposition(|&c| c == '.' || is_hyphen(c)).map_or(before, |i| &before[i + 1..]);
    let initials = before.contains(&'.');
    if let [letter] = segment
        && letter.is_alphabetic()
    {
        // `J.`, `J.-B.`, `S.A.M.U.`; but not the C that ends `vitamine C.`
        return initials
            || (letter.is_uppercase() && !(ends && last))
            || after.first().copied().is_some_and(is_hyphen)
            || matches!(after, [next, '.', ..] if next.is_alphabetic());
    }
    let word: String = before.iter().collect();
    ABBREVIATIONS.contains(&word.as_str()) && !after.first().is_some_and(|c| c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<String> {
        let chars: Vec<char> = text.chars().collect();
        words(text).into_iter().map(|[a, b]| chars[a..b].iter().collect()).collect()
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(split(text).join("|"), expected, "{text}");
    }

    #[test]
    fn elisions_are_split_with_either_apostrophe() {
        check("L'hôpital d'Aix", "L'|hôpital|d'|Aix");
        check("l’école qu’il", "l’|école|qu’|il");
        check("lorsqu'elle puisqu'on jusqu'à quoiqu'il", "lorsqu'|elle|puisqu'|on|jusqu'|à|quoiqu'|il");
        check("J'ai n'est c'est s'il m'a t'es", "J'|ai|n'|est|c'|est|s'|il|m'|a|t'|es");
        check("L' évolution l'", "L'|évolution|l'");
        check("L'Haÿ-les-Roses", "L'|Haÿ-les-Roses");
        check("d'1 mg l'IRM", "d'|1|mg|l'|IRM");
    }

    #[test]
    fn words_that_own_their_apostrophe_are_kept() {
        check(
            "aujourd'hui aujourd’hui prud'homme presqu'île",
            "aujourd'hui|aujourd’hui|prud'homme|presqu'île",
        );
        check("M. N'Diaye et O'Brien", "M.|N'Diaye|et|O'Brien");
        check("N'OUBLIEZ N'allez N'Étaient", "N'|OUBLIEZ|N'|allez|N'|Étaient");
        check("'bonjour' dit-il", "'|bonjour|'|dit-il");
    }

    #[test]
    fn hyphenated_names_are_kept() {
        check("Jean-Baptiste va à Villeneuve-d'Ascq.", "Jean-Baptiste|va|à|Villeneuve-d'Ascq|.");
        check("Va-t-il au Val-d’Oise ?", "Va-t-il|au|Val-d’Oise|?");
        check("-tiret - tiret-", "-|tiret|-|tiret|-");
    }

    #[test]
    fn numbers_and_dates_are_kept() {
        check("12,5 mg le 12/03/2024 à 14:30,", "12,5|mg|le|12/03/2024|à|14:30|,");
        check("37,8°C, 120/80, 06.12.34.56.78.", "37,8|°|C|,|120/80|,|06.12.34.56.78|.");
        check("5mg 14h30 (75010) 50%", "5mg|14h30|(|75010|)|50|%");
    }

    #[test]
    fn abbreviations_and_initials_keep_their_dot() {
        check("M. Durand, Dr. Petit et J.-B. Roux", "M.|Durand|,|Dr.|Petit|et|J.-B.|Roux");
        check("Le S.A.M.U. et J. Morel.", "Le|S.A.M.U.|et|J.|Morel|.");
        check("de la vitamine C.", "de|la|vitamine|C|.");
        check("fruits, etc.", "fruits|,|etc.");
        check("fin.Début", "fin|.|Début");
    }

    #[test]
    fn punctuation_stands_alone() {
        check("«Oui», (non)... !?", "«|Oui|»|,|(|non|)|...|!|?");
        check("et/ou", "et|/|ou");
    }

    #[test]
    fn addresses_of_the_net_stay_whole() {
        check("Écrire à j.martin@chu-nantes.fr.", "Écrire|à|j.martin@chu-nantes.fr|.");
        check(
            "voir https://www.ameli.fr/a?b=1, ou www.caf.fr)",
            "voir|https://www.ameli.fr/a?b=1|,|ou|www.caf.fr|)",
        );
        check("(service-public.fr)", "(|service-public.fr|)");
    }

    #[test]
    fn marks_stay_with_their_letter() {
        check("e\u{301}te\u{301} co\u{ad}opération", "e\u{301}te\u{301}|co\u{ad}opération");
    }

    proptest! {
        #[test]
        fn words_cover_every_character_that_is_no_space(text in "(\\PC|[ a-zA-Z'’.,/:@0-9-]|\u{301}|\u{ad}|\n){0,60}") {
            let chars: Vec<char> = text.chars().collect();
            let mut covered = vec![false; chars.len()];
            let mut last = 0;
            for [start, end] in words(&text) {
                prop_assert!(last <= start && start < end && end <= chars.len());
                last = end;
                for i in start..end {
                    prop_assert!(!chars[i].is_whitespace());
                    covered[i] = true;
                }
            }
            for (c, covered) in chars.iter().zip(covered) {
                prop_assert_eq!(!c.is_whitespace(), covered);
            }
        }
    }
}
