//! Texts with marked spans, each reading on a line of its own.

use maud::{Markup, html};
use stage_contract::report::{Passage, Span};

/// Passages of one block on the page: more nobody reads.
const MOST: usize = 100;

pub(super) fn passages(passages: &[Passage]) -> Markup {
    html! {
        ol.sentences {
            @for passage in passages.iter().take(MOST) {
                li {
                    p.note { (passage.caption) }
                    dl {
                        @for reading in &passage.readings {
                            dt { (reading.name) }
                            dd { @for span in &reading.spans { (marked(span)) } }
                        }
                    }
                }
            }
        }
        @if passages.len() > MOST { p.nothing { (MOST) " of " (passages.len()) " are shown" } }
    }
}

/// What differs is marked once more, and not by its colour alone.
fn marked(span: &Span) -> Markup {
    let Some(label) = &span.label else { return html! { (span.text) } };
    let class = if span.differs { "other" } else { "" };
    html! {
        mark class=(class) { (span.text) span.type { (label) @if span.differs { " \u{2260}" } } }
    }
}
