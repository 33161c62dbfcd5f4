//! Lists and objects in a cell, as Python, `NumPy` and JSON write them.

use std::{iter::Peekable, str::Chars};

use serde_json::{Map, Number, Value};

/// Reads `['a', 'b']`, `["a", "b"]`, `['a' 'b']`, `[(0, 3, 'PER')]`, `[{'start': 0}]`; `None` if it is anything else.
pub(super) fn read(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut chars = text.chars().peekable();
    let value = one(&mut chars, 0)?;
    skip(&mut chars);
    chars.next().is_none().then_some(value)
}

/// Deeper ones are no annotation, and would overflow the stack.
const DEEPEST: usize = 16;

fn one(chars: &mut Peekable<Chars<'_>>, depth: usize) -> Option<Value> {
    skip(chars);
    match *chars.peek()? {
        _ if depth > DEEPEST => None,
        open @ ('[' | '(') => {
            chars.next();
            let close = if open == '[' { ']' } else { ')' };
            let mut values = Vec::new();
            loop {
                skip(chars);
                if chars.next_if_eq(&close).is_some() {
                    return Some(Value::Array(values));
                }
                values.push(one(chars, depth + 1)?);
            }
        }
        '{' => {
            chars.next();
            let mut fields = Map::new();
            loop {
                skip(chars);
                if chars.next_if_eq(&'}').is_some() {
                    return Some(Value::Object(fields));
                }
                let Value::String(name) = one(chars, depth + 1)? else { return None };
                skip(chars);
                chars.next_if_eq(&':')?;
                fields.insert(name, one(chars, depth + 1)?);
            }
        }
        quote @ ('\'' | '"') => {
            chars.next();
            let mut text = String::new();
            loop {
                match chars.next()? {
                    '\\' => text.push(match chars.next()? {
                        'n' => '\n',
                        't' => '\t',
                        c => c,
                    }),
                    c if c == quote => return Some(Value::String(text)),
                    c => text.push(c),
                }
            }
        }
        _ => word(chars),
    }
}

/// A number, or a name of Python's.
fn word(chars: &mut Peekable<Chars<'_>>) -> Option<Value> {
    let mut text = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)) {
        text.push(c);
    }
    match text.as_str() {
        "None" | "nan" => Some(Value::Null),
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        _ => text.parse::<Number>().ok().map(Value::Number),
    }
}

fn skip(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_of_python_numpy_and_json_are_read() {
        for (text, expected) in [
            ("['l\\'un', \"d'eux\"]", json!(["l'un", "d'eux"])),
            ("['a' 'b'\n 'c']", json!(["a", "b", "c"])),
            ("[0 1 -2]", json!([0, 1, -2])),
            ("[(0, 3, 'PER'), (4, 7, 'LOC')]", json!([[0, 3, "PER"], [4, 7, "LOC"]])),
            (
                "[{'start': 0, 'end': 3, 'label': 'PER', 'x': None}]",
                json!([{"start": 0, "end": 3, "label": "PER", "x": null}]),
            ),
            ("[]", json!([])),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in ["[...]", "[sic] le patient", "['a'", "(voir", "{x}", &"[".repeat(100)] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
