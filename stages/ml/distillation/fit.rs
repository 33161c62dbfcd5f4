//! Whether teacher, student, records and gold fit each other: asked before any work where they lie there already, and
//! again when the work begins.

use std::{collections::BTreeSet, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::Invalid;

use crate::{examples::columns, losses::Weights, params::Training, student::columns_of};
use encoder::{config::Config, logits::Origin, model::ModelFolder};
use text::{
    corpus::Gold,
    labels::{Labels, Policy, Scheme},
};

/// How a student's labels mark where an entity begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Marks {
    /// As the teacher's: `io` where no label of its own says so, else `bio`.
    #[default]
    Teacher,
    /// I- alone: neighbours of one type are one entity. Every sub-word of an entity has the same label, so that programs
    /// that label them one by one find it whole.
    Io,
    /// B- and I-, told apart beside an IO teacher by the type of the word before.
    Bio,
}

/// The labels of a teacher's students: its types, without those that they are not to learn.
#[must_use]
pub fn student_labels(teacher: &Labels, marks: Marks) -> Labels {
    let types = teacher.types_to(Policy::Learn);
    match marks {
        Marks::Io => Labels::io(types),
        Marks::Teacher if teacher.scheme() == Scheme::Io => Labels::io(types),
        Marks::Bio | Marks::Teacher => Labels::bio(types),
    }
}

/// Looks at gold sentences that are to join training, before any work.
///
/// A type in gold that the student lacks is refused here, though `evaluate` only leaves it out of its scores: trained
/// as O, it would teach that such names are none.
///
/// # Errors
/// They have a type that neither student nor teacher know.
pub fn check_gold(gold: Option<&Gold>, student: &Labels, teacher: &Labels) -> Result<(), Invalid> {
    let mut records = gold.into_iter().flat_map(|gold| &gold.sets).flat_map(|set| &set.records);
    let fits = records.try_for_each(|record| columns(record, student, teacher).map(drop));
    fits.map_err(|e| Invalid::of(&e).at("gold"))
}

/// Checks that logits that lie there already are this teacher's.
///
/// # Errors
/// They are another's.
pub fn check_logits(logits: Option<&Path>, teacher: Option<&Path>) -> Result<(), Invalid> {
    if let (Some(logits), Some(teacher)) = (logits, teacher) {
        let origin = Origin::load(logits).map_err(|e| Invalid::of(&e).at("logits"))?;
        origin.check(&ModelFolder::at(teacher))?;
    }
    Ok(())
}

/// Checks that a model is a student: its labels are O, and then B- and I- of each type or I- alone, and it has a CRF.
///
/// # Errors
/// It is none.
pub fn check_student(config: &Config) -> Result<(), Invalid> {
    let labels = &config.labels;
    let types = || labels.types().iter().map(String::as_str);
    let wrong = if *labels != Labels::bio(types()) && *labels != Labels::io(types()) {
        format!("the model's labels {} are not a student's", labels.names().join(", "))
    } else if config.crf {
        return Ok(());
    } else {
        "the model is no student: it has no CRF".to_owned()
    };
    Err(Invalid::new(wrong)
        .at("model")
        .help("wire the model of `distill` or `prune`: `model = \"prune.model\"`"))
}

/// Checks that `student` can have been made from `teacher`: its types and its layers are the teacher's. The pieces of its
/// vocabulary may be others.
///
/// # Errors
/// What the teacher lacks.
fn check_teacher(student: &Config, teacher: &Config) -> Result<(), Invalid> {
    let wrong = |message: String| {
        Err(Invalid::new(message).at("teacher").help("wire the teacher that the student was made from"))
    };
    columns_of(&teacher.labels, &student.labels).map_err(|e| Invalid::of(&e).at("teacher"))?;
    let has = teacher.layers.len();
    match student.layers.iter().map(|layer| layer.from_teacher_layer).find(|origin| *origin >= has) {
        Some(origin) => wrong(format!(
            "the student has a layer that was the teacher's layer {origin} (counted from 0), but the teacher has \
             {has} layers"
        )),
        None => Ok(()),
    }
}

/// Pairs of hidden states, student's and teacher's: as given, else from where each student layer came from (the state
/// after it learns from the state after its origin). None when no weight `wants` them.
///
/// # Errors
/// A teacher from which the student cannot have been made, a state that does not exist, or another hidden width.
pub fn hidden_pairs(
    given: &[(usize, usize)],
    student: &Config,
    teacher: &Config,
    wants: &[&Weights],
) -> Result<Vec<(usize, usize)>, Invalid> {
    check_teacher(student, teacher)?;
    if wants.iter().all(|weights| weights.get("hidden") == 0.0) {
        return Ok(Vec::new());
    }
    let origins = student.layers.iter().enumerate();
    let pairs = match given {
        [] => origins.map(|(i, layer)| (i + 1, layer.from_teacher_layer + 1)).collect(),
        given => given.to_vec(),
    };
    check_pairs(&pairs, student, teacher)?;
    Ok(pairs)
}

/// Layers whose words' relations are compared, student's and teacher's: as given, else the student's last and where it came
/// from. None when the relation loss weighs nothing.
///
/// # Errors
/// A layer that does not exist, or a width that the relation heads do not divide.
pub fn relation_pair(
    training: &Training,
    student: &Config,
    teacher: &Config,
    wants: &[&Weights],
) -> Result<Option<(usize, usize)>, Invalid> {
    if wants.iter().all(|weights| weights.get("relation") == 0.0) {
        return Ok(None);
    }
    let (ours, theirs) = (student.layers.len(), teacher.layers.len());
    let (s, t) = match training.relation_pair[..] {
        [s, t] => (s, t),
        _ => (ours - 1, student.layers[ours - 1].from_teacher_layer),
    };
    if s >= ours || t >= theirs {
        return Err(Invalid::new(format!(
            "the relation pair [{s}, {t}] does not exist: the student has layers 0 to {}, the teacher 0 to {}",
            ours - 1,
            theirs - 1
        ))
        .at("relation_pair")
        .help("leave `relation_pair` out for the student's last layer and where it came from"));
    }
    let heads = training.relation_heads;
    let widths =
        [(student, s), (teacher, t)].map(|(model, layer)| model.layers[layer].heads * model.head_dim);
    if let Some(width) = widths.into_iter().find(|width| !width.is_multiple_of(heads)) {
        let fits = (1..=heads).rev().find(|heads| widths.iter().all(|width| width.is_multiple_of(*heads)));
        return Err(Invalid::new(format!(
            "{heads} relation heads do not divide the layer's width of {width}"
        ))
        .at("relation_heads")
        .help(format!("use {}", fits.unwrap_or(1))));
    }
    Ok(Some((s, t)))
}

fn check_pairs(pairs: &[(usize, usize)], student: &Config, teacher: &Config) -> Result<(), Invalid> {
    let (ours, theirs) = (student.layers.len(), teacher.layers.len());
    if let Some((s, t)) = pairs.iter().find(|(s, t)| *s > ours || *t > theirs) {
        return Err(Invalid::new(format!(
            "the hidden pair [{s}, {t}] does not exist: the student has states 0 to {ours}, the teacher 0 to {theirs}"
        ))
        .at("hidden_pairs")
        .help("0 is the embeddings and i the state after the i-th layer, counted from 1"));
    }
    let distinct: BTreeSet<_> = pairs.iter().collect();
    if distinct.len() < pairs.len() {
        return Err(Invalid::new("a hidden pair is given twice")
            .at("hidden_pairs")
            .help("give each pair once in `hidden_pairs`"));
    }
    if student.hidden != teacher.hidden {
        return Err(Invalid::new(format!(
            "the student's hidden width {} is not the teacher's {}",
            student.hidden, teacher.hidden
        ))
        .at("teacher")
        .help(
            "leave `hidden` out of the weights, or use the model the student was made from as its teacher",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{relation_pair as relation_pair_of, *};
    use encoder::testing::tiny;

    fn teacher(layers: usize) -> Config {
        let mut config = tiny();
        config.layers = (0..layers)
            .map(|i| encoder::config::LayerShape { from_teacher_layer: i, ..config.layers[0] })
            .collect();
        config
    }

    #[test]
    fn a_teacher_that_the_student_cannot_come_from_is_refused() {
        let student = tiny();
        check_teacher(&student, &teacher(3)).expect("layers 0 and 2 of 3");
        let short = check_teacher(&student, &teacher(2)).expect_err("layer 2 of 2");
        assert_eq!(short.at.as_deref(), Some("teacher"));
        assert!(short.message.contains("layer 2 (counted from 0), but the teacher has 2 layers"), "{short}");
        check_teacher(&student, &Config { vocab: 49, ..teacher(3) }).expect("words are what they share");
        let names = ["O", "I-PER", "I-LOC"].map(str::to_owned);
        let poor = Config { labels: Labels::parse(&names).expect("labels"), ..teacher(3) };
        let poor = check_teacher(&student, &poor).expect_err("no ORG");
        assert_eq!(poor.message, "the teacher has no label for the student's B-ORG");
    }

    #[test]
    fn hidden_pairs_that_do_not_exist_are_named() {
        let (student, teacher) = (tiny(), teacher(3));
        let pairs = |given: &[(usize, usize)], hidden| {
            hidden_pairs(given, &student, &teacher, &[&Weights::of(&[("ce", 1.0), ("hidden", hidden)])])
        };
        assert_eq!(pairs(&[], 0.1), Ok(vec![(1, 1), (2, 3)]));
        assert_eq!(pairs(&[(9, 9)], 0.0), Ok(vec![]), "nobody asks for them");
        let wrong = pairs(&[(3, 1)], 0.1).expect_err("three states");
        assert_eq!(wrong.at.as_deref(), Some("hidden_pairs"));
        assert!(wrong.message.contains("the student has states 0 to 2, the teacher 0 to 3"), "{wrong}");
        assert!(pairs(&[(1, 1), (1, 1)], 0.1).is_err());
    }

    #[test]
    fn relations_that_cannot_be_compared_are_refused_by_name() {
        let (student, teacher) = (tiny(), teacher(3));
        let pair = |relation, relation_pair: &[usize], relation_heads| {
            let relation_pair = relation_pair.to_vec();
            let training = Training { relation_pair, relation_heads, ..Training::default() };
            relation_pair_of(&training, &student, &teacher, &[&Weights::of(&[("relation", relation)])])
        };
        assert_eq!(pair(0.0, &[9, 9], 16), Ok(None), "nobody asks for them");
        assert_eq!(pair(0.5, &[], 4), Ok(Some((1, 2))));
        assert_eq!(pair(0.5, &[0, 1], 4), Ok(Some((0, 1))));
        assert_eq!(pair(0.5, &[2, 1], 4).expect_err("two layers").at.as_deref(), Some("relation_pair"));
        let wrong = pair(0.5, &[0, 1], 5).expect_err("of 16");
        assert_eq!(wrong.at.as_deref(), Some("relation_heads"));
        assert_eq!(wrong.help.as_deref(), Some("use 4"));
    }

    #[test]
    fn a_student_marks_beginnings_as_its_teacher_does_unless_told() {
        let parsed = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Labels::parse(&names).expect("labels")
        };
        let io = parsed(&["O", "I-LOC", "I-PER"]);
        let bioes = parsed(&["O", "B-LOC", "I-LOC", "E-LOC", "S-LOC"]);
        for (teacher, marks, right) in [
            (&io, Marks::Teacher, Labels::io(["LOC", "PER"])),
            (&io, Marks::Bio, Labels::bio(["LOC", "PER"])),
            (&bioes, Marks::Teacher, Labels::bio(["LOC"])),
            (&bioes, Marks::Io, Labels::io(["LOC"])),
        ] {
            let labels = student_labels(teacher, marks);
            assert_eq!(labels, right, "{marks:?}");
            check_student(&Config { labels, ..tiny() }).expect("a student's");
        }
    }

    #[test]
    fn a_model_that_is_no_student_is_refused() {
        let with = |labels, crf| check_student(&Config { labels, crf, ..tiny() });
        let types = ["PER", "LOC", "ORG", "MISC"];
        with(Labels::bio(types), true).expect("nine labels");
        with(Labels::io(types), true).expect("five labels");
        let teacher = encoder::testing::fixture::teacher_labels();
        let bioes = ["O", "B-PER", "I-PER", "E-PER", "S-PER"].map(str::to_owned);
        let bioes = Labels::parse(&bioes).expect("labels");
        for (labels, crf, said) in [
            (teacher, false, "the model is no student: it has no CRF"),
            (bioes, true, "the model's labels O, B-PER, I-PER, E-PER, S-PER are not a student's"),
        ] {
            let none = with(labels, crf).expect_err("none");
            assert_eq!((none.at.as_deref(), none.message.as_str()), (Some("model"), said));
        }
    }

    #[test]
    fn gold_that_does_not_fit_is_found_before_any_work() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gold.bio");
        let teacher = encoder::testing::fixture::teacher_labels();
        let check = |tag: &str, types: &[(&str, &str)]| {
            fs::write(&path, format!("Noël\t{tag}\n")).expect("written");
            let gold = <Gold as stage_contract::Artifact>::load(&path).expect("gold");
            let teacher = teacher.renamed(&types.iter().copied().collect()).expect("its types");
            check_gold(Some(&gold), &student_labels(&teacher, Marks::Teacher), &teacher)
        };
        check("B-MISC", &[]).expect("MISC is learned");
        check("B-MISC", &[("MISC", "outside")]).expect("MISC is O");
        check("B-MISC", &[("MISC", "ignore")]).expect("MISC is masked");
        check("B-NAME", &[("PER", "NAME")]).expect("as students call it");
        for (tag, types) in [("B-DATE", &[][..]), ("B-PER", &[("PER", "NAME")])] {
            let wrong = check(tag, types).expect_err("no such type");
            assert_eq!(wrong.at.as_deref(), Some("gold"));
            assert_eq!(
                wrong.message,
                format!("record gold:1 has the tag {tag}, which the student does not know")
            );
        }
    }
}
