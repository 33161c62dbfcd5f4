//! Text that terminal and plain lines share.

use std::fmt::Write;

use super::{Fault, NodeSummary, Outcome, Summary};

/// Seconds for people: `0.02 s`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times are small and not negative"
    )]
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Bytes for people: `3.2 kB`, `118.0 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().si().to_string()
}

/// The closing line of a node.
#[must_use]
pub fn closing(node: &NodeSummary, width: usize) -> String {
    // A `String` takes everything that is written to it.
    let mut line = format!("{:width$}  {:9}", node.stage, node.outcome.name());
    if matches!(node.outcome, Outcome::Executed | Outcome::Failed | Outcome::Restored) {
        let _ = write!(line, "  {}", duration(node.seconds));
    }
    if node.outcome == Outcome::Executed && !node.reasons.is_empty() {
        let _ = write!(line, "  ({})", tell(&node.reasons));
    }
    for (gate, verdict) in &node.gates {
        if verdict != "pass" {
            let _ = write!(line, "  gate {gate}: {verdict}");
        }
    }
    line.trim_end().to_owned()
}

/// Reasons in one line.
#[must_use]
pub fn tell(reasons: &[String]) -> String {
    /// More than these make a line that nobody reads; `ner-pipe why` has them all.
    const SHOWN: usize = 3;
    let mut text = reasons.iter().take(SHOWN).map(|reason| cut(reason)).collect::<Vec<_>>().join("; ");
    if reasons.len() > SHOWN {
        let _ = write!(text, "; and {} more", reasons.len() - SHOWN);
    }
    text
}

/// The start of a long reason or line: a whole command line may be in it.
fn cut(reason: &str) -> String {
    const LONGEST: usize = 160;
    match reason.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", &reason[..end]),
        None => reason.to_owned(),
    }
}

/// Text of a node of which others execute too: each line says whose it is.
#[must_use]
pub fn owned(stage: &str, text: &str) -> String {
    text.lines().map(|line| format!("{stage} | {line}")).collect::<Vec<_>>().join("\n")
}

/// Why a node has no result, as a paragraph below its closing line.
#[must_use]
pub fn paragraph(fault: &Fault) -> Vec<String> {
    let mut lines = vec![format!("  {}", fault.message)];
    lines.extend(fault.causes.iter().map(|cause| format!("  because: {cause}")));
    if !fault.log.is_empty() {
        lines.push("  the end of its log:".to_owned());
        lines.extend(fault.log.iter().map(|line| format!("  | {}", cut(line))));
    }
    lines.extend(fault.kept.iter().map(|kept| format!("  kept: {kept}")));
    lines.extend(fault.help.iter().map(|help| format!("  help: {help}")));
    lines
}

/// The last line of a run.
#[must_use]
pub fn last(summary: &Summary) -> Vec<String> {
    let total = summary.nodes.len();
    let counts = Outcome::ALL.into_iter().map(|outcome| (outcome.name(), summary.count(outcome)));
    let counts = counts
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect::<Vec<_>>();
    let stages = if total == 1 { "stage" } else { "stages" };
    let mut lines = vec![format!("{total} {stages}: {} in {}", counts.join(", "), duration(summary.seconds))];
    for (verdict, label) in [("fail", "failed gates"), ("inconclusive", "inconclusive gates")] {
        let gates = summary.gates(verdict);
        if !gates.is_empty() {
            lines.push(format!("{label}: {}", gates.join(", ")));
        }
    }
    if !summary.logs.is_empty() {
        lines.push(format!("{} shows the numbers", summary.logs.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_well() {
        let read = [0.021, 9.4, 12.34, 245.0, 7380.0].map(duration);
        assert_eq!(read, ["0.02 s", "9.40 s", "12.3 s", "4 min 05 s", "2 h 03 min"]);
    }
}
