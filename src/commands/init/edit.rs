//! Small changes to a pipeline file that leave all else in it as it is, comments too.

use std::{ops::Range, path::Path};

use hub::Name;
use stage_contract::Setting;
use toml::{Spanned, de::DeValue};

use crate::{manifest::Manifest, pipeline::DEFAULT_FILE, problem::Text};

/// The pipeline file with another path for a source.
pub(super) fn with_path(content: &str, source: &str, path: &Path) -> String {
    let text = Text::new(DEFAULT_FILE, content);
    let span = Manifest::parse(&text).ok().and_then(|manifest| {
        let source = manifest.table.get("sources")?.get_ref().get(source)?.get_ref();
        Some(source.get("path")?.span())
    });
    let quoted = toml::Value::String(path.to_string_lossy().into_owned()).to_string();
    span.map_or_else(|| content.to_owned(), |span| replaced(content, span, &quoted))
}

/// The pipeline file with a repository of the hub in the place of a source's path.
pub(super) fn with_hub(content: &str, source: &str, name: &Name) -> String {
    let text = Text::new(DEFAULT_FILE, content);
    let span = Manifest::parse(&text).ok().and_then(|manifest| {
        let source = manifest.table.get("sources")?.get_ref().get(source)?.get_ref();
        entries(source).find(|(key, ..)| *key == "path").map(|(_, span, _)| span)
    });
    let mut hub = format!("hub = \"{}\"", name.repo);
    if name.revision != Name::MAIN {
        hub = format!("{hub}, revision = \"{}\"", name.revision);
    }
    span.map_or_else(|| content.to_owned(), |span| replaced(content, span, &hub))
}

/// The pipeline file with one more parameter of a stage; as it was where the stage has no table of parameters.
pub(super) fn with_parameter(content: &str, setting: &Setting) -> String {
    let text = Text::new(DEFAULT_FILE, content);
    let end = Manifest::parse(&text).ok().and_then(|manifest| {
        let stage = manifest.table.get("stage")?.get_ref().get(setting.stage)?.get_ref();
        entries(stage.get("params")?.get_ref()).map(|(_, span, _)| span.end).last()
    });
    let more = format!(", {} = {}", setting.parameter, setting.value);
    end.map_or_else(|| content.to_owned(), |end| replaced(content, end..end, &more))
}

/// The pipeline file without a source, and without the inputs that read it.
pub(super) fn without_source(content: &str, source: &str) -> String {
    let text = Text::new(DEFAULT_FILE, content);
    let Ok(manifest) = Manifest::parse(&text) else { return content.to_owned() };
    let reference = format!("sources.{source}");
    let mut spans = Vec::new();
    let sections = manifest.table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()));
    for (section, value) in sections {
        match section {
            "sources" => {
                spans.extend(entries(value).filter(|(name, ..)| *name == source).map(|(_, span, _)| span));
            }
            "stage" => spans.extend(
                entries(value)
                    .filter_map(|(_, _, stage)| stage.get_ref().get("inputs"))
                    .flat_map(|inputs| entries(inputs.get_ref()))
                    .filter(|(_, _, from)| from.get_ref().as_str() == Some(&reference))
                    .map(|(_, span, _)| span),
            ),
            _ => {}
        }
    }
    spans.sort_by_key(|span| span.start);
    // From the end, so that the spans before stay right.
    spans.into_iter().rev().fold(content.to_owned(), |content, span| removed(&content, span))
}

/// Name, span from key to value, and value of each entry of a table.
pub(super) fn entries<'v>(
    value: &'v DeValue<'v>,
) -> impl Iterator<Item = (&'v str, Range<usize>, &'v Spanned<DeValue<'v>>)> {
    value
        .as_table()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.get_ref().as_ref(), key.span().start..value.span().end, value))
}

fn replaced(content: &str, span: Range<usize>, by: &str) -> String {
    format!("{}{by}{}", &content[..span.start], &content[span.end..])
}

/// Without an entry, its comma, and the line that was for it alone.
fn removed(content: &str, mut span: Range<usize>) -> String {
    let after = content[span.end..].trim_start_matches(' ');
    if let Some(rest) = after.strip_prefix(',') {
        span.end = content.len() - rest.trim_start_matches(' ').len();
    } else if let Some(before) = content[..span.start].trim_end().strip_suffix(',') {
        span.start = before.len();
    } else if content[..span.start].ends_with('\n') && after.starts_with('\n') {
        span.end = content.len() - after.len() + 1;
    }
    replaced(content, span, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_takes_the_place_of_a_path() {
        let with = |name: &str| {
            with_hub(
                "[sources]\na = { path = \"p\", kind = \"k\" } # mine\n",
                "a",
                &name.parse().expect("a name"),
            )
        };
        assert_eq!(with("o/n"), "[sources]\na = { hub = \"o/n\", kind = \"k\" } # mine\n");
        assert_eq!(
            with("o/n@v1"),
            "[sources]\na = { hub = \"o/n\", revision = \"v1\", kind = \"k\" } # mine\n"
        );
    }

    #[test]
    fn a_parameter_joins_those_that_are_there() {
        let setting = Setting { stage: "s", parameter: "n", value: 5.into() };
        let with = |content: &str| with_parameter(content, &setting);
        assert_eq!(
            with("[stage.s]\nparams = { a = 1, b = \"x\" } # so\n"),
            "[stage.s]\nparams = { a = 1, b = \"x\", n = 5 } # so\n"
        );
        assert_eq!(with("[stage.t]\n"), "[stage.t]\n");
    }

    #[test]
    fn an_entry_leaves_with_its_comma() {
        let without = |content: &str| without_source(content, "gold");
        let head = "[sources]\ngold = { path = \"g\" }\na = { path = \"a\" }\n[stage.s]\n";
        let tail = "[sources]\na = { path = \"a\" }\n[stage.s]\n";
        for (inputs, left) in [
            ("{ gold = \"sources.gold\", a = \"sources.a\" }", "{ a = \"sources.a\" }"),
            ("{ a = \"sources.a\", gold = \"sources.gold\" }", "{ a = \"sources.a\" }"),
            ("{ gold = \"sources.gold\" }", "{  }"),
        ] {
            assert_eq!(without(&format!("{head}inputs = {inputs}\n")), format!("{tail}inputs = {left}\n"));
        }
        let table = "[stage.s.inputs]\na = \"sources.a\"\ngold = \"sources.gold\"\n";
        assert_eq!(without(table), "[stage.s.inputs]\na = \"sources.a\"\n");
    }
}
