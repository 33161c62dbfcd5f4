//! French between words: articles that contract, *de* that elides, capitals.

/// What stands before a noun in a frame, and what it does to the noun's article.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// Nothing, and no definite article either: `EHPAD Bel Air`.
    Bare,
    /// The noun's own article: `l'EHPAD`.
    The,
    /// `de`: du CHU, de l'EHPAD, des Restos, d'Angers, du Mans.
    Of,
    /// `à`: au CHU, à l'EHPAD, aux Restos, à Angers, au Mans.
    At,
    /// `en` before a country: en Suisse, au Mali, aux Comores, à Haïti.
    In,
    /// `dans` before a department: dans le Rhône, dans l'Ain, en Gironde.
    Within,
    /// Origin: de Suisse, du Mali, des Comores, d'Haïti.
    From,
    /// The postal code: 44000 Nantes.
    Code,
    /// Nothing, and hyphens for spaces: Victor-Hugo.
    Hyphens,
    /// Its own article as part of a name: Les Tilleuls.
    Capital,
}

impl Lead {
    /// As frames write it.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "le" => Self::The,
            "de" => Self::Of,
            "à" => Self::At,
            "en" => Self::In,
            "dans" => Self::Within,
            "issu" => Self::From,
            "cp" => Self::Code,
            "tiret" => Self::Hyphens,
            "Maj" => Self::Capital,
            _ => return None,
        })
    }
}

/// The words that lead to `noun`, and how many bytes of its start they replace. `place`: a capital *Le* or *Les* is an
/// article that contracts (`au Mans`), and no part of a family name (`de Le Goff`).
pub(super) fn join(lead: Lead, noun: &str, place: bool) -> (String, usize) {
    let article = article(noun, place);
    let rest = &noun[article.len()..];
    let contracted = |le: &str, les: &str, other: String| match article {
        "le " | "Le " => le.to_owned(),
        "les " | "Les " => les.to_owned(),
        _ => other,
    };
    let elided = || if elides(rest) { "d'".to_owned() } else { "de ".to_owned() };
    let definite = article.starts_with('l') || article.is_empty();
    match lead {
        Lead::Bare | Lead::Code | Lead::Hyphens => (String::new(), if definite { article.len() } else { 0 }),
        Lead::The | Lead::Capital => (String::new(), 0),
        Lead::Of => match noun.strip_prefix("des ") {
            Some(several) => (if elides(several) { "d'" } else { "de " }.to_owned(), "des ".len()),
            None if article.is_empty() => (elided(), 0),
            None => (contracted("du ", "des ", format!("de {article}")), article.len()),
        },
        Lead::At => (contracted("au ", "aux ", format!("à {article}")), article.len()),
        Lead::In if article.is_empty() => ("à ".to_owned(), 0),
        Lead::In => (contracted("au ", "aux ", "en ".to_owned()), article.len()),
        Lead::Within if article == "la " && (rest.contains('-') || NEAR.contains(&rest)) => {
            ("en ".to_owned(), article.len())
        }
        Lead::Within => (format!("dans {article}"), article.len()),
        Lead::From => (contracted("du ", "des ", elided()), article.len()),
    }
}

/// How many bytes of a noun are its article, to leave out of an entity: 3 in `le CHU`.
pub(super) fn article_length(noun: &str) -> usize {
    article(noun, false).len()
}

fn article(noun: &str, place: bool) -> &str {
    let known: &[&str] =
        if place { &["le ", "la ", "les ", "l'", "Le ", "Les "] } else { &["le ", "la ", "les ", "l'"] };
    known.iter().find(|article| noun.starts_with(**article)).map_or("", |article| &noun[..article.len()])
}

/// Whether *de* loses its e before `word`: before a vowel or a mute h, not before a y that is a consonant.
fn elides(word: &str) -> bool {
    let mut letters = word.chars().flat_map(char::to_lowercase);
    match letters.next() {
        Some('h') => !ASPIRATED.iter().any(|start| word.starts_with(start)),
        Some('y') => letters.next().is_some_and(|second| !"aàâeéèêiïouœ".contains(second)),
        Some(first) => "aàâäæeéèêëiîïoôöœuùûü".contains(first),
        None => false,
    }
}

/// Names in the lexicon whose h forbids elision.
const ASPIRATED: [&str; 4] = ["Haguenau", "Hautepierre", "Handicap", "HAS"];

/// Departments of one word that people are *en*; as all are whose name is a compound (en Haute-Loire).
const NEAR: [&str; 10] = [
    "Charente", "Corrèze", "Dordogne", "Gironde", "Lozère", "Mayenne", "Moselle", "Sarthe", "Savoie",
    "Vendée",
];

/// The text with its first letter as a capital.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lead: Lead, noun: &str) -> String {
        let (before, cut) = join(lead, noun, noun.starts_with("Le Ma"));
        format!("{before}{}", &noun[cut..])
    }

    #[test]
    fn articles_contract_and_de_elides() {
        let cases = [
            (Lead::Of, "le CHU", "du CHU"),
            (Lead::Of, "l'EHPAD", "de l'EHPAD"),
            (Lead::Of, "les Restos", "des Restos"),
            (Lead::Of, "la CAF", "de la CAF"),
            (Lead::Of, "Angers", "d'Angers"),
            (Lead::Of, "Évreux", "d'Évreux"),
            (Lead::Of, "Hyères", "d'Hyères"),
            (Lead::Of, "Haguenau", "de Haguenau"),
            (Lead::Of, "Yvetot", "d'Yvetot"),
            (Lead::Of, "Yaël", "de Yaël"),
            (Lead::Of, "Le Mans", "du Mans"),
            (Lead::Of, "Le Goff", "de Le Goff"),
            (Lead::Of, "une toux", "d'une toux"),
            (Lead::Of, "des vertiges", "de vertiges"),
            (Lead::Of, "des œdèmes", "d'œdèmes"),
            (Lead::At, "le CHU", "au CHU"),
            (Lead::At, "l'EHPAD", "à l'EHPAD"),
            (Lead::At, "La Rochelle", "à La Rochelle"),
            (Lead::At, "Le Mans", "au Mans"),
            (Lead::In, "l'Italie", "en Italie"),
            (Lead::In, "le Mali", "au Mali"),
            (Lead::In, "Haïti", "à Haïti"),
            (Lead::From, "l'Italie", "d'Italie"),
            (Lead::From, "la Suisse", "de Suisse"),
            (Lead::From, "les Comores", "des Comores"),
            (Lead::Within, "l'Isère", "dans l'Isère"),
            (Lead::Within, "la Manche", "dans la Manche"),
            (Lead::Within, "la Gironde", "en Gironde"),
            (Lead::Within, "la Haute-Loire", "en Haute-Loire"),
            (Lead::The, "la CAF", "la CAF"),
            (Lead::Bare, "l'EHPAD", "EHPAD"),
            (Lead::Bare, "Le Mans", "Le Mans"),
            (Lead::Bare, "une toux", "une toux"),
        ];
        for (lead, noun, expected) in cases {
            assert_eq!(said(lead, noun), expected);
        }
    }
}
