//! A lock file with git's conflict markers in it, as the files that it was made from.

/// The shortest marker that git writes; `conflict-marker-size` makes longer ones.
const SHORTEST: usize = 7;

/// The two sides of a conflict, and what both came from where the markers say it (`diff3`, `zdiff3`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub ours: String,
    pub theirs: String,
    pub base: Option<String>,
}

/// Where the lines belong that come next.
enum Side {
    Both,
    Ours(usize),
    Base(usize),
    Theirs(usize),
}

/// Takes a text with markers apart; none when it has none, or they do not fit together.
pub(super) fn split(text: &str) -> Option<Sides> {
    let (mut ours, mut theirs, mut base) = (String::new(), String::new(), String::new());
    let (mut conflicts, mut based) = (0, 0);
    let mut side = Side::Both;
    for line in text.split_inclusive('\n') {
        side = match side {
            Side::Both => {
                if let Some(length) = marker(line, '<') {
                    conflicts += 1;
                    Side::Ours(length)
                } else {
                    for text in [&mut ours, &mut theirs, &mut base] {
                        text.push_str(line);
                    }
                    Side::Both
                }
            }
            Side::Ours(length) if marker(line, '|') == Some(length) => {
                based += 1;
                Side::Base(length)
            }
            Side::Ours(length) | Side::Base(length) if marker(line, '=') == Some(length) => {
                Side::Theirs(length)
            }
            Side::Theirs(length) if marker(line, '>') == Some(length) => Side::Both,
            // What is nested in a base (of a merge of merges) has longer markers and stays text.
            Side::Ours(_) => {
                ours.push_str(line);
                side
            }
            Side::Base(_) => {
                base.push_str(line);
                side
            }
            Side::Theirs(_) => {
                theirs.push_str(line);
                side
            }
        };
    }
    let whole = matches!(side, Side::Both) && conflicts > 0;
    whole.then_some(Sides { ours, theirs, base: (based == conflicts).then_some(base) })
}

/// The length of the marker that a line is.
fn marker(line: &str, sign: char) -> Option<usize> {
    let rest = line.trim_end_matches(['\n', '\r']).trim_start_matches(sign);
    let length = line.trim_end_matches(['\n', '\r']).len() - rest.len();
    (length >= SHORTEST && (rest.is_empty() || rest.starts_with(' '))).then_some(length)
}

/// Whether a text that is no TOML looks like one that git left in conflict.
pub(super) fn is_conflicted(text: &str) -> bool {
    text.lines().any(|line| marker(line, '<').is_some() || marker(line, '>').is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_found_with_and_without_a_base() {
        let plain = "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> other\nd\n";
        let sides = split(plain).expect("is conflicted");
        assert_eq!((sides.ours.as_str(), sides.theirs.as_str()), ("a\nb\nd\n", "a\nc\nd\n"));
        assert_eq!(sides.base, None);
        let diff3 = "a\n<<<<<<< HEAD\nb\n||||||| 1234\nx\n=======\nc\n>>>>>>> other\nd\n";
        let sides = split(diff3).expect("is conflicted");
        assert_eq!((sides.ours.as_str(), sides.theirs.as_str()), ("a\nb\nd\n", "a\nc\nd\n"));
        assert_eq!(sides.base.as_deref(), Some("a\nx\nd\n"));
    }

    #[test]
    fn a_base_that_was_itself_in_conflict_is_no_side() {
        let text =
            "<<<<<<< a\n1\n||||||| m\n<<<<<<<<< x\n2\n=========\n3\n>>>>>>>>> y\n=======\n4\n>>>>>>> b\n";
        let sides = split(text).expect("is conflicted");
        assert_eq!((sides.ours.as_str(), sides.theirs.as_str()), ("1\n", "4\n"));
    }

    #[test]
    fn half_a_conflict_is_none() {
        assert_eq!(split("a\n<<<<<<< HEAD\nb\n=======\nc\n"), None);
        assert_eq!(split("a = 1\n"), None);
        assert!(is_conflicted("x\n<<<<<<< HEAD\r\n") && !is_conflicted("x = '<<<<<<< HEAD'\n"));
    }
}
