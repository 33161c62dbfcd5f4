//! What is wrong with a table that is expanded is wrong with every instance, and is reported once.

use std::collections::BTreeSet;

use super::{Code, Problem, Problems, Text};

impl Problems {
    /// Makes one of all problems of this sort in one text: the first, which underlines the places of all.
    pub fn join(&mut self, code: Code) {
        let name = |problem: &Problem| problem.0.text.as_ref().map(|text| Text::name(text).to_owned());
        let mut firsts: Vec<Problem> = Vec::new();
        for problem in self.0.extract_if(.., |problem| problem.code() == code) {
            match firsts.iter_mut().find(|first| name(first) == name(&problem)) {
                Some(first) => {
                    let known = first.0.labels.clone();
                    first
                        .0
                        .labels
                        .extend(problem.0.labels.into_iter().filter(|label| !known.contains(label)));
                }
                None => firsts.push(problem),
            }
        }
        self.0.extend(firsts);
    }

    /// Tells once what is said of several instances of one stage, at the same place in the same words:
    /// the first is kept. `families` has the ids of instances with the name of their table.
    pub fn merge(&mut self, families: &[(&str, &str)]) {
        let mut seen = BTreeSet::new();
        let alike = |problem: &Problem| {
            let mut message = problem.to_string();
            for (id, family) in families {
                message = message.replace(id, family);
            }
            let labels = problem.0.labels.iter();
            let places = labels.map(|label| (label.offset(), label.len(), label.label().map(str::to_owned)));
            (problem.code(), problem.file().map(str::to_owned), message, places.collect::<Vec<_>>())
        };
        if !families.is_empty() {
            self.0.retain(|problem| seen.insert(alike(problem)));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::problem::{Code, Problem, Problems, Text};

    #[test]
    fn problems_of_one_sort_become_one_with_all_places() {
        let text = Text::new("p", "abc");
        let about = |code, at: usize| Problem::new(code, "wrong").at(&text.location(at..at + 1), "here");
        let mut problems = Problems::new();
        problems.extend([about(Code::AbsentStage, 0), about(Code::Cycle, 1), about(Code::AbsentStage, 2)]);
        problems.join(Code::AbsentStage);
        let labels: Vec<_> = problems.iter().map(|problem| problem.0.labels.len()).collect();
        assert_eq!(labels, [1, 2]);
    }

    #[test]
    fn instances_count_once_where_they_say_the_same() {
        let text = Text::new("p", "abc");
        let about = |id: &str, at: usize| {
            Problem::new(Code::Cycle, format!("`{id}` waits")).at(&text.location(at..at + 1), "here")
        };
        let mut problems = Problems::new();
        problems.extend([about("a@1", 0), about("a@2", 0), about("a@2", 1), about("b", 0)]);
        problems.merge(&[("a@1", "a"), ("a@2", "a")]);
        let left: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(left, ["`a@1` waits", "`a@2` waits", "`b` waits"]);
    }
}
