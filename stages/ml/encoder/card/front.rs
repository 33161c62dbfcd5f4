//! The YAML before a model card: what the Hub reads of it.

use std::path::Path;

use serde_json::json;

use crate::config::Declared;
use text::folder;

/// What a folder's own card declares; nothing where it has none. Its `base_model` is that model's, and not the model.
#[must_use]
pub fn declared(model: &Path) -> Declared {
    let card = folder::small(&model.join(folder::CARD)).unwrap_or_default();
    let card = String::from_utf8_lossy(&card);
    let [license, language] = ["license", "language"].map(|key| values(&card, key));
    Declared { license: license.into_iter().next(), language, base_model: None }
}

/// The values of a key of the front matter: one, `[one, other]`, or a line each behind `- `.
fn values(card: &str, key: &str) -> Vec<String> {
    let mut lines = card.trim_start_matches('\u{feff}').lines();
    if lines.next().map(str::trim_end) != Some("---") {
        return Vec::new();
    }
    let front: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
    let found = front
        .iter()
        .enumerate()
        .find_map(|(at, line)| Some((at, line.strip_prefix(key)?.strip_prefix(':')?)));
    let Some((at, value)) = found else { return Vec::new() };
    let value = bare(value);
    let list: Vec<&str> = if value.is_empty() {
        front[at + 1..].iter().map_while(|line| line.trim_start().strip_prefix("- ")).collect()
    } else {
        value
            .strip_prefix('[')
            .and_then(|list| list.strip_suffix(']'))
            .map_or(vec![value], |list| list.split(',').collect())
    };
    let list = list.into_iter().map(|value| bare(value).trim_matches(['"', '\'']).to_owned());
    list.filter(|value| !value.is_empty() && !value.chars().any(char::is_control)).collect()
}

/// Without blanks and comment.
fn bare(value: &str) -> &str {
    value.split(" #").next().unwrap_or_default().trim()
}

/// The front matter of a card of our own.
pub(super) fn matter(declared: &Declared) -> String {
    let mut lines = vec!["---".to_owned()];
    // A JSON text is YAML too.
    let quoted = |value: &String| json!(value).to_string();
    if !declared.language.is_empty() {
        lines.push("language:".to_owned());
        lines.extend(declared.language.iter().map(|value| format!("- {}", quoted(value))));
    }
    lines.extend(declared.license.iter().map(|value| format!("license: {}", quoted(value))));
    lines.extend(declared.base_model.iter().map(|value| format!("base_model: {}", quoted(value))));
    lines.extend(
        ["pipeline_tag: token-classification", "tags:", "- token-classification", "- ner-pipe", "---"]
            .map(str::to_owned),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_card_declares_licence_and_languages_however_its_yaml_is_written() {
        for (card, license, language) in [
            ("---\nlanguage: fr\nlicense: mit\ntags:\n- ner\n---\n# x\n", Some("mit"), &["fr"][..]),
            (
                "---\r\nlicense: \"cc-by-4.0\" # as asked\r\nlanguage:\r\n- fr\r\n- 'en'\r\ndatasets:\r\n- x\r\n---\r\n",
                Some("cc-by-4.0"),
                &["fr", "en"],
            ),
            ("---\nlanguage: [fr, en]\n---\nlicense: mit\n", None, &["fr", "en"]),
            ("license: mit\n", None, &[]),
            ("", None, &[]),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join(folder::CARD), card).expect("written");
            let found = declared(folder.path());
            assert_eq!(
                (found.license.as_deref(), found.language.iter().map(String::as_str).collect::<Vec<_>>()),
                (license, language.to_vec()),
                "{card}"
            );
            let again = matter(&found);
            fs::write(folder.path().join(folder::CARD), again).expect("written");
            assert_eq!(declared(folder.path()), found, "our own card is read as others are");
        }
    }
}
