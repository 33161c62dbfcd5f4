//! What to type where no record of a file has a field that is needed.

use serde_json::Value;

use super::super::{
    format::Want,
    item::Place,
    names::NAMELESS,
    roles::{TAGS, TEXTS, TOKENS},
};
use super::{
    chosen::{Chosen, NO_TEXT},
    fields::fields,
    marks::NO_MARKS,
};

/// What to type where all records are bad for one reason; `None` where no option mends it. `explained`
/// says how numeric tags may be named in such a file.
pub(super) fn advice(
    bad: &[(Place, String)],
    chosen: &Chosen<'_>,
    want: Want,
    explained: &str,
) -> Option<String> {
    let all = |reason: &str| bad.iter().all(|(_, own)| own.starts_with(reason));
    if all(NAMELESS) {
        return Some(format!("name them by {explained}, in the order of the numbers"));
    }
    let seen = chosen.seen.as_ref()?;
    let said = [&chosen.said.text, &chosen.said.tokens, &chosen.said.tags];
    let wrong = |field: &&String| {
        let (none, other) = (format!("no field `{field}`"), format!("the field `{field}` is "));
        bad.iter().all(|(_, own)| own.starts_with(&none) || own.starts_with(&other))
    };
    if said.into_iter().flatten().any(|field| wrong(&field)) {
        return Some(format!("correct the option `fields`: the records have {}", fields(seen)));
    }
    if !all(NO_TEXT) && !all(NO_MARKS) {
        return None;
    }
    let length = |value: &Value| value.as_str().map(str::len);
    let longest = || Some(seen.iter().filter_map(|(name, value)| Some((length(value)?, name))).max()?.1);
    // A field of a known name was tried already.
    let known = |name: &str| [&TEXTS[..], &TOKENS, &TAGS].concat().contains(&name.to_lowercase().as_str());
    let others = |fits: fn(&Value) -> bool| -> Vec<&str> {
        let fields = seen.iter().filter(|(name, value)| !known(name) && fits(value));
        fields.map(|(name, _)| name.as_str()).collect()
    };
    let (lists, strings) = (others(Value::is_array), others(Value::is_string));
    let option = match (want, lists.as_slice(), strings.as_slice()) {
        (Want::Text | Want::Entries, ..) => format!("`fields = {{ text = \"{}\" }}`", longest()?),
        (Want::Gold, [tokens, tags, ..], _) | (Want::Gold, [], [.., tokens, tags]) => {
            format!("`fields = {{ tokens = \"{tokens}\", tags = \"{tags}\" }}`")
        }
        (Want::Gold, [tags], _) => format!("`fields = {{ text = \"{}\", tags = \"{tags}\" }}`", longest()?),
        (Want::Gold, [], _) => return None,
    };
    Some(format!("say which fields are what by the option {option}, with the names that are in the file"))
}
