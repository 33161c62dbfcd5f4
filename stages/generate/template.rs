//! The little language of frames and tables.
//!
//! `[..]` is there or not, `<a|b>` is one of several, `{..}` is a slot: `{fem|masc}` or `{2:fem|masc}` agrees with
//! person 1 or 2, `{2-9}` is a number, `{1t}` a mention of a person, `{hopital}` an entry of a table. A word may lead
//! a mention or an entry (`{de hopital}`, `{le 3d}`), and a capital asks for one (`{Le hopital}`).

use super::french::Lead;

/// A piece of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it stands.
    Text(String),
    /// There or not.
    Optional(Vec<Piece>),
    /// One of these.
    Choice(Vec<Vec<Piece>>),
    /// The feminine or the masculine form, as the person of this number.
    Agreement(usize, String, String),
    /// A number from the first to the last.
    Number(u32, u32),
    /// A person of this number, mentioned.
    Person(Noun, usize, Form),
    /// An entry of the table of this name.
    Table(Noun, String),
}

/// What leads a mention or an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noun {
    /// The word before it.
    pub(super) lead: Lead,
    /// Whether it begins with a capital.
    pub(super) capital: bool,
}

/// How a person is mentioned; titles stay outside the entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `n`: Jeanne Moreau.
    Full,
    /// `u`: MOREAU Jeanne.
    Register,
    /// `f`: Jeanne.
    First,
    /// `l`: Moreau.
    Last,
    /// `L`: MOREAU.
    Upper,
    /// `i`: J. Moreau.
    Initial,
    /// `t`: Mme Moreau, Madame Jeanne Moreau.
    Titled,
    /// `tn`: Mme Jeanne Moreau.
    TitledFull,
    /// `d`: le Dr Moreau.
    Doctor,
    /// `h`: as `t`, and the family name is a town's: M. Paris.
    Town,
}

/// Reads a frame or an entry.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Piece>, String> {
    let mut rest = text;
    let pieces = sequence(&mut rest, &[])?;
    if rest.is_empty() { Ok(pieces) } else { Err(format!("`{rest}` closes nothing")) }
}

/// Reads up to one of `ends`, which is left in `rest`.
fn sequence(rest: &mut &str, ends: &[char]) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    while let Some(c) = rest.chars().next() {
        match c {
            _ if ends.contains(&c) => break,
            '[' => {
                *rest = &rest[1..];
                let inner = sequence(rest, &[']'])?;
                *rest = rest.strip_prefix(']').ok_or("`[` is not closed")?;
                pieces.push(Piece::Optional(inner));
            }
            '<' => {
                let mut branches = Vec::new();
                while let Some(after) = rest.strip_prefix(if branches.is_empty() { '<' } else { '|' }) {
                    *rest = after;
                    branches.push(sequence(rest, &['|', '>'])?);
                }
                *rest = rest.strip_prefix('>').ok_or("`<` is not closed")?;
                pieces.push(Piece::Choice(branches));
            }
            '{' => {
                let (inner, after) = rest[1..].split_once('}').ok_or("`{` is not closed")?;
                *rest = after;
                pieces.push(slot(inner)?);
            }
            ']' | '>' | '|' | '}' => return Err(format!("`{c}` closes nothing")),
            _ => {
                let end = rest.find(['[', ']', '<', '>', '|', '{', '}']).unwrap_or(rest.len());
                pieces.push(Piece::Text(rest[..end].to_owned()));
                *rest = &rest[end..];
            }
        }
    }
    Ok(pieces)
}

fn slot(inner: &str) -> Result<Piece, String> {
    if let Some((feminine, masculine)) = inner.split_once('|') {
        let (person, feminine) = match feminine.split_once(':') {
            Some((person, feminine)) => {
                (person.parse().map_err(|_| format!("`{person}` is no person"))?, feminine)
            }
            None => (1, feminine),
        };
        return Ok(Piece::Agreement(person, feminine.to_owned(), masculine.to_owned()));
    }
    if inner == "e" {
        return Ok(Piece::Agreement(1, "e".to_owned(), String::new()));
    }
    if let Some((low, high)) = inner.split_once('-')
        && let (Ok(low), Ok(high)) = (low.parse(), high.parse())
    {
        return if low <= high { Ok(Piece::Number(low, high)) } else { Err(format!("`{inner}` is empty")) };
    }
    let (lead, name) = inner.split_once(' ').map_or((None, inner), |(lead, name)| (Some(lead), name));
    let capital = inner.starts_with(char::is_uppercase) && lead != Some("Maj");
    let lead = match lead {
        None => Lead::Bare,
        Some("Maj") => Lead::Capital,
        Some(word) => Lead::parse(&word.to_lowercase()).ok_or_else(|| format!("`{word}` leads nothing"))?,
    };
    let noun = Noun { lead, capital };
    match name.strip_prefix(|c: char| c.is_ascii_digit()) {
        Some(form) => Ok(Piece::Person(noun, usize::from(name.as_bytes()[0] - b'0'), form_named(form)?)),
        None => Ok(Piece::Table(noun, name.to_lowercase())),
    }
}

fn form_named(name: &str) -> Result<Form, String> {
    Ok(match name {
        "n" => Form::Full,
        "u" => Form::Register,
        "f" => Form::First,
        "l" => Form::Last,
        "L" => Form::Upper,
        "i" => Form::Initial,
        "t" => Form::Titled,
        "tn" => Form::TitledFull,
        "d" => Form::Doctor,
        "h" => Form::Town,
        _ => return Err(format!("`{name}` is no way to mention a person")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_to_its_last_slot() {
        let pieces =
            parse("né{e} <le|vers le> {Le hopital}[, {1-9} {2:sœur|frère} {de 3d}]").expect("a frame");
        assert_eq!(pieces.len(), 7);
        assert_eq!(pieces[1], Piece::Agreement(1, "e".into(), String::new()));
        let noun = Noun { lead: Lead::The, capital: true };
        assert_eq!(pieces[5], Piece::Table(noun, "hopital".into()));
        let Piece::Optional(inner) = &pieces[6] else { panic!("an optional end") };
        assert_eq!(inner[1], Piece::Number(1, 9));
        assert_eq!(inner[3], Piece::Agreement(2, "sœur".into(), "frère".into()));
        let of = Noun { lead: Lead::Of, capital: false };
        assert_eq!(inner[5], Piece::Person(of, 3, Form::Doctor));
    }

    #[test]
    fn a_frame_that_makes_no_sense_is_refused() {
        for bad in ["[a", "<a|b", "{a", "a]", "a|b", "{9-1}", "{sur hopital}", "{1z}", "{x:a|b}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
