use maud::{Markup, html};

/// What may be wider than the window: it scrolls by itself, so that the page does not.
pub(super) fn wide(label: &str, content: &Markup) -> Markup {
    html! { div.wide role="region" tabindex="0" aria-label=(label) { (content) } }
}
