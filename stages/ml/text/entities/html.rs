//! A page that shows entities in their texts, and asks for nothing else.

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    entity::{Placed, pieces},
    writer::Writer,
};
use crate::corpus::{Document, Entry};

/// Light or dark, as the reader's system is. Types of one colour are told apart by their names, which stand beside them.
const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fff;--text:#1a1a1a;--rule:#ddd;--fill:78%}\
@media(prefers-color-scheme:dark){:root{--back:#16181c;--text:#e8e8e8;--rule:#3a3d44;--fill:28%}}\
body{background:var(--back);color:var(--text);font:16px/2.1 system-ui,sans-serif;margin:2rem auto;max-width:50rem;padding:0 1rem}\
h1{font-size:1.1rem}\
p{border-bottom:1px solid var(--rule);margin:0;padding:.5rem 0;white-space:pre-wrap;overflow-wrap:anywhere}\
mark{background:hsl(var(--hue) 75% var(--fill));color:inherit;border-radius:.3em;padding:.2em .35em}\
mark b{font-size:.7em;margin-left:.45em;letter-spacing:.03em}";

/// The pages of documents, one behind another where they go to one place.
#[derive(Default)]
pub(super) struct Html {
    begun: bool,
}

impl Writer for Html {
    fn begin(&mut self, document: &Document, outs: &mut [&mut dyn Write]) -> io::Result<()> {
        let head = html! {
            (DOCTYPE)
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (document.name) }
            style { (PreEscaped(STYLE)) }
        };
        if !std::mem::replace(&mut self.begun, true) {
            write(outs, &head)?;
        }
        write(outs, &html! { h1 { (document.name) } })
    }

    fn text(&mut self, entry: &Entry, entities: &[Placed], outs: &mut [&mut dyn Write]) -> io::Result<()> {
        let text = html! {
            p {
                @for (piece, entity) in pieces(&entry.text, entities) {
                    @match entity {
                        Some(Placed { kind, score, .. }) => {
                            mark style={ "--hue:" (hue(kind)) } title=(format!("{score:.3}")) { (piece) b { (kind) } }
                        }
                        None => (piece),
                    }
                }
            }
        };
        write(outs, &text)
    }
}

fn write(outs: &mut [&mut dyn Write], markup: &Markup) -> io::Result<()> {
    outs[0].write_all(markup.0.as_bytes())?;
    outs[0].write_all(b"\n")
}

/// A colour of the wheel, in degrees: the same for a type on every page.
fn hue(kind: &str) -> u32 {
    // FNV-1a, so that names that are nearly the same are not.
    let hash =
        kind.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % 360
}
