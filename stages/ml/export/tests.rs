use encoder::testing::fixture::{model, teacher_labels};

use super::*;

fn compared(agreement: f64, other_tags: usize, logits_within: f64) -> Comparison {
    let agreement = Some(agreement);
    Comparison { texts: 3, words: 100, agreement, other_tags, logits_within, ..Comparison::default() }
}

#[test]
fn an_export_that_says_something_else_is_refused_with_the_figures() {
    for to in [Target::Onnx, Target::Hf, Target::HfDense] {
        judge(&compared(100.0, 0, 1e-4), to, 0.3).expect("near enough");
        for other in [compared(100.0, 1, 1e-4), compared(100.0, 0, 1e-3), compared(100.0, 0, f64::NAN)] {
            let error = judge(&other, to, 100.0).expect_err("is another model").to_string();
            assert!(error.contains(&format!("{} of 100 words in 3 texts", other.other_tags)), "{error}");
        }
    }
}

#[test]
fn eight_bits_may_lose_what_is_allowed_and_the_advice_allows_what_they_lose() {
    let lossy = compared(98.75, 4, 0.1);
    judge(&lossy, Target::OnnxInt8, 1.3).expect("allowed");
    let error = judge(&lossy, Target::OnnxInt8, 0.3).expect_err("too much");
    assert!(error.to_string().starts_with("8 bits lose 1.25 points of F1"), "{error}");
    assert!(error.advice().expect("a way out").contains("max_loss = 1.3"));
    judge(&compared(100.0, 0, f64::NAN), Target::OnnxInt8, 100.0).expect_err("no number");
    let none = Comparison { agreement: None, ..compared(0.0, 0, 0.1) };
    judge(&none, Target::OnnxInt8, 0.3).expect("nothing is lost where neither finds an entity");
}

#[test]
fn texts_without_a_word_are_refused() {
    let model = model(teacher_labels(), &[]);
    let folder = tempfile::tempdir().expect("a folder");
    for texts in [vec![], vec![" ".to_owned()]] {
        let texts = Texts::given(texts, 10);
        let error =
            export(&model, Target::Onnx, &texts, 0.3, None, &folder.path().join("out")).expect_err("no word");
        assert!(error.to_string().contains("no word"), "{error}");
    }
}
