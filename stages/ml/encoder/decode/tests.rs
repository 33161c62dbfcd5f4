use super::*;

fn labels(names: &str) -> Labels {
    Labels::parse(&names.split(' ').map(str::to_owned).collect::<Vec<_>>()).expect("labels")
}

/// Logits whose softmax at T = 1 is `rows`.
fn logits(rows: &[&[f32]]) -> WordLogits {
    WordLogits {
        labels: rows[0].len(),
        values: rows.iter().flat_map(|row| row.iter().map(|p| p.ln())).collect(),
        owned: vec![true; rows.len()],
        ..WordLogits::default()
    }
}

fn close(found: &[f64], right: &[f64]) {
    assert_eq!(found.len(), right.len());
    assert!(found.iter().zip(right).all(|(f, r)| (f - r).abs() < 1e-6), "{found:?} is not {right:?}");
}

#[test]
fn an_io_model_begins_an_entity_where_the_type_changes() {
    let labels = labels("O I-LOC I-PER I-MISC I-ORG");
    let rows: &[&[f32]] = &[
        &[0.1, 0.1, 0.6, 0.1, 0.1],
        &[0.1, 0.1, 0.7, 0.05, 0.05],
        &[0.1, 0.5, 0.2, 0.1, 0.1],
        &[0.6, 0.1, 0.1, 0.1, 0.1],
        &[0.1, 0.5, 0.2, 0.1, 0.1],
    ];
    let decoded = decode(&labels, &Decoding::Types, &logits(rows), &[]);
    assert_eq!(decoded.tags, ["B-PER", "I-PER", "B-LOC", "O", "B-LOC"]);
    close(&decoded.score, &[0.6, 0.7, 0.5, 0.6, 0.5]);
    let entities = decoded.entities();
    assert_eq!(
        entities.iter().map(|e| (e.kind.as_str(), e.start_word, e.end_word)).collect::<Vec<_>>(),
        [("PER", 0, 2), ("LOC", 2, 3), ("LOC", 4, 5)],
    );
    close(&entities.iter().map(|e| e.score).collect::<Vec<_>>(), &[0.65, 0.5, 0.5]);
}

#[test]
fn types_that_become_o_join_o_before_the_argmax_decides() {
    let labels = labels("O I-LOC I-PER I-MISC I-ORG");
    // MISC wins, but neither O nor MISC alone beats PER in the second word: together they do.
    let rows: &[&[f32]] = &[&[0.1, 0.05, 0.3, 0.5, 0.05], &[0.25, 0.05, 0.4, 0.25, 0.05]];
    let decoded = decode(&labels, &Decoding::Types, &logits(rows), &["MISC"]);
    assert_eq!(decoded.tags, ["O", "O"]);
    close(&decoded.score, &[0.6, 0.5]);
    assert_eq!(decode(&labels, &Decoding::Types, &logits(rows), &[]).tags, ["B-MISC", "B-PER"]);
    // A type dropped between two words of one type separates them.
    let rows: &[&[f32]] =
        &[&[0.1, 0.0, 0.9, 0.0, 0.0], &[0.1, 0.0, 0.0, 0.9, 0.0], &[0.1, 0.0, 0.9, 0.0, 0.0]];
    assert_eq!(decode(&labels, &Decoding::Types, &logits(rows), &["MISC"]).tags, ["B-PER", "O", "B-PER"]);
}

#[test]
fn a_bio_model_without_crf_decides_between_types_before_it_decides_where_they_begin() {
    let labels = labels("O B-PER I-PER B-LOC I-LOC");
    // O is the most probable label of the first word, and PER the most probable type.
    let rows: &[&[f32]] = &[
        &[0.4, 0.3, 0.25, 0.03, 0.02],
        &[0.1, 0.4, 0.5, 0.0, 0.0],
        &[0.1, 0.5, 0.4, 0.0, 0.0],
        &[0.1, 0.0, 0.2, 0.3, 0.4],
    ];
    let decoded = decode(&labels, &Decoding::Types, &logits(rows), &[]);
    assert_eq!(decoded.tags, ["B-PER", "I-PER", "B-PER", "B-LOC"]);
    close(&decoded.score, &[0.55, 0.9, 0.9, 0.7]);
}

#[test]
fn nothing_goes_on_behind_an_end_or_a_single_word() {
    // Each word has its label with 0.9.
    let tags = |set: &str, words: &str| {
        let labels = labels(set);
        let rows: Vec<Vec<f32>> = words
            .split(' ')
            .map(|word| {
                let column = labels.column(word).expect("a label");
                let rest = 0.1 / f32::from(u8::try_from(labels.len() - 1).expect("few"));
                (0..labels.len()).map(|other| if other == column { 0.9 } else { rest }).collect()
            })
            .collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        decode(&labels, &Decoding::Types, &logits(&rows), &[]).tags.join(" ")
    };
    let ioe = "O I-PER E-PER I-LOC E-LOC";
    assert_eq!(tags(ioe, "E-PER E-PER E-PER"), "B-PER B-PER B-PER");
    assert_eq!(tags(ioe, "I-PER E-PER I-PER E-PER"), "B-PER I-PER B-PER I-PER");
    assert_eq!(tags(ioe, "I-PER I-PER O E-PER E-LOC I-LOC"), "B-PER I-PER O B-PER B-LOC B-LOC");
    let bioes = "O B-PER I-PER E-PER S-PER";
    assert_eq!(tags(bioes, "E-PER E-PER"), "B-PER B-PER");
    assert_eq!(tags(bioes, "B-PER I-PER E-PER I-PER E-PER"), "B-PER I-PER I-PER B-PER I-PER");
    assert_eq!(tags(bioes, "S-PER I-PER E-PER S-PER"), "B-PER B-PER I-PER B-PER");
    assert_eq!(tags("B-PER I-PER L-PER U-PER O", "U-PER L-PER I-PER"), "B-PER B-PER B-PER");
}

#[test]
fn a_bio_model_without_crf_is_repaired() {
    let labels = labels("O B-PER I-PER B-LOC I-LOC");
    let rows: &[&[f32]] = &[
        &[0.2, 0.1, 0.6, 0.05, 0.05],
        &[0.2, 0.1, 0.6, 0.05, 0.05],
        &[0.2, 0.1, 0.1, 0.1, 0.5],
        &[0.2, 0.5, 0.2, 0.05, 0.05],
    ];
    let decoded = decode(&labels, &Decoding::Types, &logits(rows), &[]);
    assert_eq!(decoded.tags, ["B-PER", "I-PER", "B-LOC", "B-PER"]);
    close(&decoded.score, &[0.7, 0.7, 0.6, 0.7]);
    assert_eq!(
        decode(&labels, &Decoding::Types, &logits(rows), &["LOC"]).tags,
        ["B-PER", "I-PER", "O", "B-PER"]
    );
}

#[test]
fn by_argmax_the_most_probable_label_decides_as_it_does_in_transformers() {
    let labels = labels("O B-PER I-PER B-LOC I-LOC");
    let rows: &[&[f32]] = &[
        &[0.4, 0.3, 0.25, 0.03, 0.02],
        &[0.1, 0.4, 0.5, 0.0, 0.0],
        &[0.1, 0.0, 0.8, 0.0, 0.1],
        &[0.1, 0.0, 0.2, 0.3, 0.4],
        &[0.2, 0.0, 0.1, 0.4, 0.3],
    ];
    let decoded = decode(&labels, &Decoding::Argmax, &logits(rows), &[]);
    assert_eq!(decoded.tags, ["O", "B-PER", "I-PER", "B-LOC", "B-LOC"]);
    close(&decoded.score, &[0.4, 0.9, 0.8, 0.7, 0.7]);
    let without = decode(&labels, &Decoding::Argmax, &logits(rows), &["LOC"]);
    assert_eq!(without.tags, ["O", "B-PER", "I-PER", "O", "O"]);
}

#[test]
fn a_crf_decides_over_the_whole_text_and_scores_by_the_marginal_of_the_type() {
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let mut transitions = vec![0.0; 49];
    transitions[7 + 2] = 3.0; // B-PER -> I-PER
    let crf = Crf::new(&labels, &transitions, &[0.0; 7], &[0.0; 7]);
    let mut values = vec![0.0; 14];
    values[1] = 2.0;
    values[7 + 3] = 1.0; // alone, the second word would be B-LOC
    let logits = WordLogits { labels: 7, values, owned: vec![true; 2], ..WordLogits::default() };
    let by = Decoding::Crf(crf.clone());
    let decoded = decode(&labels, &by, &logits, &[]);
    assert_eq!(decoded.tags, ["B-PER", "I-PER"]);
    let marginals = crf.marginals(&logits.values);
    close(&decoded.score, &[marginals[1] + marginals[2], marginals[8] + marginals[9]]);
    let decoded = decode(&labels, &by, &logits, &["PER"]);
    assert_eq!(decoded.tags, ["O", "O"]);
    close(
        &decoded.score,
        &[marginals[0] + marginals[1] + marginals[2], marginals[7] + marginals[8] + marginals[9]],
    );
}

#[test]
fn a_text_without_words_has_no_tags() {
    let nothing = WordLogits { labels: 7, ..WordLogits::default() };
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let crf = Crf::new(&labels, &[0.0; 49], &[0.0; 7], &[0.0; 7]);
    for by in [Decoding::Types, Decoding::Argmax, Decoding::Crf(crf)] {
        let decoded = decode(&labels, &by, &nothing, &[]);
        assert!(decoded.tags.is_empty() && decoded.score.is_empty() && decoded.entities().is_empty());
    }
}
