//! An audit as a page of text, no wider than 80 columns.

use std::collections::BTreeSet;

use stage_contract::{report::grouped, terminal::harmless_line};
use textwrap::{Options, WordSeparator, WordSplitter, wrap};

use super::{
    finding::{Finding, Severity, percent},
    look::Audit,
};

const WIDTH: usize = 80;

/// So many tensors are named; the others are counted.
const NAMED: usize = 3;

/// The whole page.
pub(super) fn page(audit: &Audit) -> String {
    let mut page = Page(String::new());
    let can = if audit.usable { "can be used" } else { "cannot be used" };
    page.lines("", "", &format!("{} {can}", audit.model));
    // Why not comes first.
    page.section(audit, Severity::Error, "errors");
    page.line("");
    for (name, value) in facts(audit) {
        page.lines(&format!("  {name:<11} "), &" ".repeat(14), &value);
    }
    page.section(audit, Severity::Warning, "warnings");
    page.section(audit, Severity::Note, "notes");
    if audit.findings.is_empty() {
        page.line("");
        page.line("nothing is wrong with it");
    }
    page.0
}

fn facts(audit: &Audit) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let kind = audit.model_type.as_deref().unwrap_or("unknown");
    if audit.shape.is_none() {
        facts.push(("model", format!("{kind}: config.json is not understood")));
    }
    if let Some(shape) = &audit.shape {
        let of = |at: usize| {
            let widths: BTreeSet<usize> = shape.layers.iter().map(|layer| layer[at]).collect();
            match (widths.first(), widths.last()) {
                (Some(least), Some(most)) if least < most => format!("{least}-{most}"),
                (Some(one), _) => one.to_string(),
                _ => String::new(),
            }
        };
        let crf = if shape.crf { format!(", CRF (tags by {})", shape.decode) } else { String::new() };
        let (layers, hidden) = (shape.layers.len(), shape.hidden);
        facts.push((
            "model",
            format!("{kind}: {layers} layers x {hidden}, {} heads, {} neurons{crf}", of(0), of(1)),
        ));
        facts.push(("positions", format!("{}; texts of up to {} sub-words", shape.positions, shape.longest)));
    }
    let parameters = &audit.parameters;
    if !audit.weights.files.is_empty() {
        let more = parameters.all.saturating_sub(parameters.counted);
        let more = if more > 0 {
            format!(", and {} that the model does not use", grouped(more))
        } else {
            String::new()
        };
        let config = parameters.by_config.filter(|by| *by != parameters.counted);
        let config = config.map_or_else(String::new, |by| format!("; config.json makes {}", grouped(by)));
        facts.push(("parameters", format!("{}{more}{config}", grouped(parameters.counted))));
        let types = audit.weights.types.keys().cloned().collect::<Vec<_>>().join(", ");
        let files: Vec<&str> = audit.weights.files.iter().map(|part| part.name.as_str()).collect();
        let files = match files.as_slice() {
            [one] => (*one).to_owned(),
            some => format!("{} files", some.len()),
        };
        facts.push(("stored", format!("{types}; {} bytes in {files}", grouped(audit.weights.bytes))));
        let zeros = &audit.zeros;
        let units = zeros.units.map_or_else(String::new, |units| {
            format!(
                "; {} of {} heads and {} of {} neurons are nothing else",
                grouped(units.blank_heads),
                grouped(units.heads),
                grouped(units.blank_neurons),
                grouped(units.neurons)
            )
        });
        facts.push((
            "zeros",
            format!("{} of the numbers in matrices{units}", percent(zeros.numbers, zeros.of)),
        ));
    }
    if let Some(labels) = &audit.labels {
        let scheme = labels.scheme.map_or_else(String::new, |scheme| format!(" ({})", scheme.to_uppercase()));
        facts.push(("labels", format!("{}{scheme}: {}", labels.names.len(), labels.names.join(" "))));
    }
    if let Some(vocabulary) = &audit.vocabulary {
        let rows = vocabulary.rows.map_or_else(String::new, |rows| format!(" for {} rows", grouped(rows)));
        let (ids, files) = (grouped(vocabulary.ids), vocabulary.files.join(", "));
        facts.push(("vocabulary", format!("{ids} ids{rows}; from {files}")));
        let special = vocabulary.special.iter().map(|(part, token, id)| {
            format!("{} {token} ({id})", part.strip_suffix("_token").unwrap_or(part))
        });
        facts.push(("special", special.collect::<Vec<_>>().join(", ")));
    }
    let uses = &audit.uses;
    let yes = |can: bool| if can { "yes" } else { "no" };
    let exports = if uses.exports.is_empty() { "none".to_owned() } else { uses.exports.join(", ") };
    facts.push((
        "use",
        format!("teacher {}, student {}; exports: {exports}", yes(uses.teacher), yes(uses.student)),
    ));
    facts
}

struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    fn lines(&mut self, first: &str, then: &str, text: &str) {
        // What a foreign file says must not command a terminal.
        let text = harmless_line(text);
        // A path and a command stay whole, to be copied.
        let options = Options::new(WIDTH)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation)
            .break_words(false);
        for line in wrap(&text, options.initial_indent(first).subsequent_indent(then)) {
            self.line(&line);
        }
    }

    fn section(&mut self, audit: &Audit, severity: Severity, title: &str) {
        let found: Vec<&Finding> =
            audit.findings.iter().filter(|finding| finding.severity == severity).collect();
        if !found.is_empty() {
            self.line("");
            self.line(&format!("{title} ({})", found.len()));
            for finding in found {
                self.finding(finding);
            }
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let place = [&finding.file, &finding.key].into_iter().flatten();
        let place: Vec<&str> =
            place.map(String::as_str).filter(|place| !finding.what.contains(place)).collect();
        let place = if place.is_empty() { String::new() } else { format!("{}: ", place.join(", ")) };
        self.lines("  - ", "    ", &format!("{place}{}", finding.what));
        if !finding.tensors.is_empty() {
            let named = finding.tensors.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = finding.tensors.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.lines("    in ", "       ", &format!("{named}{more}"));
        }
        if let Some(help) = &finding.help {
            self.lines("    help: ", "          ", help);
        }
    }
}
