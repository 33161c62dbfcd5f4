//! The command line of a `command` stage: text with `{name}` for the paths of inputs and outputs.

use std::ops::Range;

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// In order.
    pub pieces: Vec<Piece>,
}

/// A piece of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Goes to the shell as it is.
    Text(String),
    /// `{name}`: the path of this input or output.
    Name {
        /// What stands between the braces.
        name: String,
        /// Where the braces are, in bytes.
        span: Range<usize>,
    },
}

impl Template {
    /// Parses a command line; `{{` and `}}` are literal braces.
    ///
    /// # Errors
    /// The position of an unmatched brace.
    pub fn parse(run: &str) -> Result<Self, Range<usize>> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = run;
        while let Some(at) = rest.find(['{', '}']) {
            let start = run.len() - rest.len() + at;
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                text.push_str(&rest[..1]);
                rest = after;
            } else if let Some(inner) = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                let span = start..start + inner.0.len() + 2;
                pieces.push(Piece::Name { name: inner.0.to_owned(), span });
                rest = inner.1;
            } else {
                return Err(start..start + 1);
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self { pieces })
    }

    /// The command line with each name replaced by what `path` returns, which must be quoted for the shell
    /// already.
    pub fn fill(&self, mut path: impl FnMut(&str) -> String) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Name { name, .. } => path(name),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_braces_are_literal_and_single_ones_are_names() {
        let template = Template::parse("awk '{{print $1}}' {in} > {out}").expect("balanced");
        assert_eq!(template.fill(|name| format!("/{name}")), "awk '{print $1}' /in > /out");
        assert!(matches!(&template.pieces[1], Piece::Name { span, .. } if *span == (19..23)));
    }

    #[test]
    fn a_lone_brace_is_found_where_it_stands() {
        assert_eq!(Template::parse("a } b"), Err(2..3));
        assert_eq!(Template::parse("a {b"), Err(2..3));
    }
}
