//! Regular expressions of foreign tokenizers. What needs no backtracking takes time and memory in proportion (the crate
//! `regex`); what does can take forever, and the library that runs it gives up without a word. So of that only what can
//! be foreseen is taken: a few repeats one after another and none in another, as in GPT-2's and its children's
//! (`\s+(?!\S)`).

use fancy_regex::Expr;

/// More instructions than any has; a repeat counts as often as it repeats.
const MOST_INSTRUCTIONS: usize = 10_000;
/// Repeats of any length in one branch: steps grow with the text's length to this power.
const MOST_REPEATS: usize = 3;
/// Parts of one branch that may be missing: steps double with each.
const MOST_OPTIONAL: usize = 8;

/// # Errors
/// It is none, or may take forever.
pub(super) fn check(pattern: &str) -> Result<(), &'static str> {
    let tree = Expr::parse_tree(pattern).map_err(|_| "it is no regular expression")?;
    let shape = Shape::of(&tree.expr);
    if shape.backtracks
        && (shape.endless
            || shape.instructions > MOST_INSTRUCTIONS
            || shape.repeats > MOST_REPEATS
            || shape.optional > MOST_OPTIONAL)
    {
        return Err("its regular expression may take forever");
    }
    Ok(())
}

/// What decides how long an expression takes.
#[derive(Clone, Copy, Default)]
struct Shape {
    instructions: usize,
    repeats: usize,
    optional: usize,
    /// Whether a part may match in several ways.
    varies: bool,
    /// Whether what varies is repeated, or of a kind that no tokenizer needs.
    endless: bool,
    /// Whether it is more than the crate `regex` knows.
    backtracks: bool,
}

impl Shape {
    fn of(expr: &Expr) -> Self {
        match expr {
            Expr::Empty | Expr::Any { .. } | Expr::Assertion(_) | Expr::Delegate { .. } => Self::one(),
            Expr::Literal { val, .. } => Self { instructions: val.len(), ..Self::default() },
            Expr::Concat(parts) => parts.iter().map(Self::of).fold(Self::default(), Self::then),
            Expr::Alt(branches) => {
                let all = branches.iter().map(Self::of).fold(Self::default(), Self::or);
                Self { varies: true, ..all }
            }
            Expr::Group(inner) => Self::of(inner),
            Expr::LookAround(inner, _) | Expr::AtomicGroup(inner) => {
                Self { backtracks: true, ..Self::of(inner) }.then(Self::one())
            }
            Expr::Repeat { child, lo, hi, .. } => Self::of(child).repeated(*lo, *hi),
            _ => Self { backtracks: true, endless: true, ..Self::one() },
        }
    }

    fn one() -> Self {
        Self { instructions: 1, ..Self::default() }
    }

    fn then(self, next: Self) -> Self {
        Self {
            repeats: self.repeats + next.repeats,
            optional: self.optional + next.optional,
            ..self.both(next)
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            repeats: self.repeats.max(other.repeats),
            optional: self.optional.max(other.optional),
            ..self.both(other)
        }
    }

    fn both(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.saturating_add(other.instructions),
            varies: self.varies || other.varies,
            endless: self.endless || other.endless,
            backtracks: self.backtracks || other.backtracks,
            ..Self::default()
        }
    }

    fn repeated(self, lo: usize, hi: usize) -> Self {
        let times = if hi == usize::MAX { lo.saturating_add(1) } else { hi };
        let several = hi > 1;
        Self {
            instructions: self.instructions.saturating_mul(times).saturating_add(1),
            repeats: self.repeats + usize::from(several && lo != hi),
            optional: self.optional + usize::from(!several && lo != hi),
            varies: self.varies || lo != hi,
            endless: self.endless || (several && self.varies),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tokenizers_split_by_is_taken() {
        for pattern in [
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"\s{2,}|[\n\r\t]",
            r"\A +| +\z",
            r"(?=[^ ])",
            // Without backtracking nothing explodes.
            r"(?:(?:a+)+)+b",
            r"(?:a|a)*b",
        ] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn what_may_take_forever_is_refused() {
        for pattern in [
            r"(?:a+)+(?=b)",
            r"(?:(?:a?)+)*(?!b)",
            r"(?:a|a)*(?=b)",
            r"(?:a?){40}(?=a{40})",
            r"a?a?a?a?a?a?a?a?a?a?a?a?(?=b)",
            r"\s*\s*\s*\s*(?=b)",
            r"(a*)\1b",
            r"(?:a{1000}){1000}(?=b)",
            r"(?:(?:(?:a{99}){99}){99}){99}(?!b)",
            r"(?=(?:a+)+b)",
            r"(",
            r"[",
        ] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }
}
