//! Scores of all models: by type with intervals, and by slice.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use serde::Deserialize;

use super::{
    chart::{Axis, look, mark},
    evaluation::{Evaluation, Model},
    figures::{float, interval, number, points, px},
    wide,
};

/// Fidelity, or quality.
#[derive(Deserialize)]
pub(super) struct Scores {
    #[serde(flatten)]
    pub all: Scored,
    /// Sources of fidelity, gold sets of quality.
    #[serde(default, alias = "sets")]
    by_source: BTreeMap<String, Scored>,
    #[serde(default)]
    by_length: BTreeMap<String, Scored>,
    #[serde(default)]
    by_mention: BTreeMap<String, Scored>,
}

#[derive(Deserialize)]
pub(super) struct Scored {
    #[serde(default)]
    texts: Option<f64>,
    pub micro: Score,
    #[serde(default)]
    per_type: BTreeMap<String, Score>,
}

#[derive(Deserialize)]
pub(super) struct Score {
    precision: f64,
    recall: f64,
    pub f1: f64,
    #[serde(default)]
    support: Option<f64>,
    #[serde(default)]
    f1_interval: Option<[f64; 2]>,
}

/// How the sentences of a slice are picked, and what it is called.
type Slices = (&'static str, fn(&Scores) -> &BTreeMap<String, Scored>);

/// Charts and tables of what `of` picks.
pub(super) fn section(evaluation: &Evaluation, name: &str, of: impl Fn(&Model) -> Option<&Scores>) -> Markup {
    // A model's place decides its look on the whole page, so it is kept where one is left out.
    let models: Vec<(usize, &str, &Scores)> = evaluation
        .models
        .iter()
        .enumerate()
        .filter(|(_, (model, _))| name != "fidelity" || model != "teacher")
        .filter_map(|(place, (name, model))| Some((place, name.as_str(), of(model)?)))
        .collect();
    let source = if name == "fidelity" { "source" } else { "set" };
    let slices: [Slices; 3] = [
        (source, |scores| &scores.by_source),
        ("length", |scores| &scores.by_length),
        ("mention", |scores| &scores.by_mention),
    ];
    html! {
        p.note {
            @if name == "fidelity" { "The teacher agrees with itself by definition and is left out. " }
            "F1 of 100, strict: type and both ends of an entity."
            @if let Some(bootstrap) = &evaluation.bootstrap {
                " Lines: where " (number(bootstrap.confidence * 100.0)) " % of "
                (number(bootstrap.samples)) " draws of the sentences fall."
            }
        }
        (forest(&models, name))
        details { summary { "Precision, recall and F1 by type" } (wide("Scores by type", &types(&models))) }
        details open {
            summary { "F1 by " (source) ", length and mention" }
            (wide("Scores by slice", &sliced(evaluation, &models, &slices)))
        }
    }
}

/// All types pooled, then each that occurs.
fn rows<'a>(models: &[(usize, &'a str, &'a Scores)]) -> Vec<Option<&'a String>> {
    let types: BTreeSet<_> = models.iter().flat_map(|(_, _, scores)| scores.all.per_type.keys()).collect();
    std::iter::once(None).chain(types.into_iter().map(Some)).collect()
}

fn score<'a>(scored: &'a Scored, kind: Option<&String>) -> Option<&'a Score> {
    kind.map_or(Some(&scored.micro), |kind| scored.per_type.get(kind))
}

/// A line of marks for each type, with intervals.
fn forest(models: &[(usize, &str, &Scores)], name: &str) -> Markup {
    const ROW: f64 = 17.0;
    const HEAD: f64 = 24.0;
    const WIDTH: f64 = 460.0;
    let groups = rows(models);
    let all = || {
        let scores =
            models.iter().flat_map(|(_, _, scores)| groups.iter().map(|kind| score(&scores.all, *kind)));
        scores.flatten().flat_map(|score| {
            let [low, high] = score.f1_interval.unwrap_or([score.f1; 2]);
            [low * 100.0, high * 100.0, score.f1 * 100.0]
        })
    };
    let Some(x) = Axis::around(all(), [142.0, WIDTH - 46.0], false) else { return html! {} };
    let x = x.within(0.0, 100.5);
    let height = float(groups.len()) * (HEAD + ROW * float(models.len())) + 26.0;
    let foot = height - 24.0;
    let mut y = 0.0;
    let mut drawn = Vec::new();
    for kind in &groups {
        y += HEAD;
        let title = kind.map_or("all types", String::as_str);
        drawn.push(html! { text.group x="4" y=(px(y - 6.0)) { (title) } });
        for (place, model, scores) in models {
            y += ROW;
            let middle = y - ROW / 2.0;
            let Some(score) = score(&scores.all, *kind) else { continue };
            let at = |share: f64| x.at(share * 100.0);
            let (lower, text) = (score.f1_interval, points(score.f1));
            let said = lower.map(|ends| format!(" ({})", interval(ends, points))).unwrap_or_default();
            drawn.push(html! {
                g class=(look(*place)) {
                    title { (model) ", " (title) ": " (text) (said) }
                    text x="132" y=(px(middle + 4.0)) text-anchor="end" { (cut(model)) }
                    @if let Some([low, high]) = lower {
                        line.reach x1=(px(at(low))) x2=(px(at(high))) y1=(px(middle)) y2=(px(middle)) {}
                    }
                    path.mark d=(mark(*place, at(score.f1), middle, 4.0)) {}
                    text x=(px(WIDTH - 4.0)) y=(px(middle + 4.0)) text-anchor="end" { (text) }
                }
            });
        }
    }
    html! {
        figure.forest {
            figcaption { "F1 by type, " (name) }
            svg viewBox={ "0 0 " (px(WIDTH)) " " (px(height)) } role="img" aria-label={ "F1 by type, " (name) } {
                g.axis {
                    @for tick in x.ticks() {
                        line.grid x1=(px(x.at(tick))) x2=(px(x.at(tick))) y1="0" y2=(px(foot)) {}
                        text x=(px(x.at(tick))) y=(px(foot + 16.0)) text-anchor="middle" { (number(tick)) }
                    }
                }
                @for part in drawn { (part) }
            }
        }
    }
}

/// A name that fits at the side of a chart; the whole is in the title.
fn cut(name: &str) -> String {
    const MOST: usize = 18;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    format!("{}\u{2026}", name.chars().take(MOST - 1).collect::<String>())
}

fn types(models: &[(usize, &str, &Scores)]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    @for name in ["Type", "Model"] { th scope="col" { (name) } }
                    @for name in ["Precision", "Recall", "F1", "Interval of F1", "Entities"] { th.number scope="col" { (name) } }
                }
            }
            tbody {
                @for kind in rows(models) {
                    @for (_, model, scores) in models {
                        @if let Some(score) = score(&scores.all, kind) {
                            tr {
                                th scope="row" { (kind.map_or("all types", String::as_str)) }
                                td { (model) }
                                @for share in [score.precision, score.recall, score.f1] { td.number { (points(share)) } }
                                td.number { @if let Some(ends) = score.f1_interval { (interval(ends, points)) } }
                                td.number { @if let Some(support) = score.support { (number(support)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The slices that occur: lengths from short to long, others by name.
fn names<'a>(
    evaluation: &Evaluation,
    models: &[(usize, &'a str, &'a Scores)],
    of: fn(&Scores) -> &BTreeMap<String, Scored>,
) -> Vec<&'a String> {
    let names: BTreeSet<&String> = models.iter().flat_map(|(_, _, scores)| of(scores).keys()).collect();
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|a, b| {
        let from = |name: &str| evaluation.lengths.get(name).map_or(0.0, |length| length.0);
        from(a).total_cmp(&from(b))
    });
    names
}

/// A row for each slice, a column for each model.
fn sliced(evaluation: &Evaluation, models: &[(usize, &str, &Scores)], slices: &[Slices]) -> Markup {
    let words = |name: &str| match evaluation.lengths.get(name) {
        Some((from, Some(to))) => format!(" ({} to {} words)", number(*from), number(*to)),
        Some((from, None)) => format!(" ({} words and more)", number(*from)),
        None => String::new(),
    };
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Slice" }
                    th.number scope="col" { "Sentences" }
                    @for (_, model, _) in models { th.number scope="col" { (model) } }
                }
            }
            tbody {
                @for (kind, of) in slices {
                    @let names = names(evaluation, models, *of);
                    @for name in names {
                        tr {
                            th scope="row" { (kind) " " (name) @if *kind == "length" { (words(name)) } }
                            td.number {
                                @if let Some(texts) = models.iter().find_map(|(_, _, scores)| of(scores).get(name)?.texts) { (number(texts)) }
                            }
                            @for (_, _, scores) in models {
                                td.number {
                                    @if let Some(scored) = of(scores).get(name) {
                                        (points(scored.micro.f1))
                                        @if let Some(ends) = scored.micro.f1_interval { br; small { (interval(ends, points)) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
