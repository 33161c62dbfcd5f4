//! Vocabularies of `SentencePiece` models, Unigram and BPE (Kudo and Richardson 2018), with ids shifted as fairseq shifted
//! them for `CamemBERT` and XLM-`RoBERTa`, and the steps that a model's own settings ask for (`convert_slow_tokenizer.py`
//! of transformers 5).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use stage_contract::StageError;
use tokenizers::AddedToken;

use super::{
    charsmap,
    class::Class,
    proto::{self, BPE, CONTROL, NORMAL, USER_DEFINED, Whole},
    settings::Settings,
    vocabulary::bpe,
};
use crate::folder;

/// What a model file gives for a tokenizer.json.
pub(super) struct Read {
    /// Said by the folder, or else whose numbering fills the vocabulary.
    pub class: Class,
    /// Its `model`.
    pub model: Value,
    /// Its `normalizer`, `pre_tokenizer` and `decoder`, where the class leaves them to the model.
    pub steps: Option<[Value; 3]>,
    /// The normalisation, as a normalizer.
    pub charsmap: Option<Value>,
    /// Tokens that are no ordinary pieces, where the file tells them apart.
    pub tokens: Option<Vec<AddedToken>>,
}

/// Entries of a vocabulary in the numbering of a class, with `<mask>`, which comes last in fairseq's.
fn entries(class: Class, pieces: usize) -> usize {
    match class {
        Class::Camembert => pieces + 5,
        Class::XlmRoberta => pieces + 2,
        _ => pieces,
    }
}

/// Reads the model. `entries` is the size of the encoder's vocabulary, which tells the numbering where no class does.
///
/// # Errors
/// Unreadable, damaged, or of unknown numbering.
pub(super) fn load(
    path: &Path,
    class: Option<Class>,
    settings: &mut Settings,
    vocabulary: usize,
) -> Result<Read, StageError> {
    let broken = |e| {
        StageError::because(format!("{} is no SentencePiece model that can be used", path.display()), e)
            .help("copy it again from the model's own repository")
    };
    let whole = proto::read(&folder::small(path)?).map_err(broken)?;
    let count = whole.pieces.len();
    let class = class.filter(|class| class.kind().is_none_or(|kind| kind == "Unigram"));
    let class = class.or_else(|| {
        let known = [Class::Camembert, Class::XlmRoberta, Class::Generic];
        known.into_iter().find(|class| entries(*class, count) == vocabulary)
    });
    let class = class.ok_or_else(|| {
        StageError::new(format!(
            "cannot use {}: its {count} pieces fill a vocabulary of {vocabulary} neither as CamemBERT's do nor as \
             XLM-RoBERTa's",
            path.display()
        ))
        .help(format!(
            "write `\"tokenizer_class\": \"CamembertTokenizer\"` (or \"XLMRobertaTokenizer\") into {}",
            folder::TOKENIZER_CONFIG
        ))
    })?;
    let charsmap = match whole.normalizer.precompiled_charsmap() {
        [] => None,
        map => {
            charsmap::check(map)
                .map_err(|what| broken(StageError::new(format!("its normalisation is damaged: {what}"))))?;
            Some(json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(map)}))
        }
    };
    let tokens = whole.pieces.iter().filter(|piece| [CONTROL, USER_DEFINED].contains(&piece.kind()));
    let mut tokens: Vec<AddedToken> = tokens
        .map(|piece| AddedToken::from(piece.text(), piece.kind() == CONTROL).normalized(false))
        .collect();
    if class != Class::Generic {
        let model = numbered(&whole, class, settings);
        return Ok(Read { class, model, steps: None, charsmap, tokens: Some(tokens) });
    }
    let names = names(&whole, settings);
    let own: Vec<&str> = (whole.pieces.iter().zip(&names))
        .filter(|(piece, _)| piece.kind() == USER_DEFINED)
        .map(|(_, name)| name.as_str())
        .collect();
    let defined: BTreeSet<&str> =
        whole.pieces.iter().filter(|piece| piece.kind() == USER_DEFINED).map(proto::Piece::text).collect();
    tokens.retain(|token| !defined.contains(token.content.as_str()));
    adapt(settings, &whole);
    let steps = Some(steps(&whole, charsmap.as_ref(), &own, settings.flag("legacy")?.unwrap_or(true)));
    let model = if whole.trainer.model_type() == BPE {
        let entries = whole.pieces.iter().zip(&names);
        let entries = entries.map(|(piece, name)| (name.clone(), piece.score(), piece.kind() == NORMAL));
        let mut model = merging(&entries.collect::<Vec<_>>(), whole.trainer.unk_piece());
        model["byte_fallback"] = whole.trainer.byte_fallback().into();
        model["ignore_merges"] = (!own.is_empty()).into();
        model
    } else {
        let vocab: Vec<_> = whole.pieces.iter().map(|piece| (piece.text(), piece.score())).collect();
        json!({
            "type": "Unigram", "unk_id": whole.trainer.unk_id(), "byte_fallback": whole.trainer.byte_fallback(),
            "vocab": vocab,
        })
    };
    Ok(Read { class, model, steps, charsmap, tokens: Some(tokens) })
}

/// Unknown, beginning and end are what the model calls so where the folder says nothing, and its added tokens are found
/// before a space is put in front.
fn adapt(settings: &mut Settings, whole: &Whole) {
    let trainer = &whole.trainer;
    let parts = [
        (trainer.bos_id(), trainer.bos_piece()),
        (trainer.eos_id(), trainer.eos_piece()),
        (trainer.unk_id(), trainer.unk_piece()),
    ];
    // In the order of ROLES.
    for (place, (id, piece)) in settings.named.iter_mut().zip(parts) {
        if id >= 0 && place.is_none() {
            *place = Some((AddedToken::from(piece, true), false));
        }
    }
    if whole.normalizer.add_dummy_prefix() {
        settings.added.values_mut().for_each(|token| token.normalized = false);
    }
}

/// A vocabulary in the numbering of a class.
fn numbered(whole: &Whole, class: Class, settings: &Settings) -> Value {
    let named = class.named(settings);
    let [begin, end, unknown, _, pad, _, mask] =
        named.map(|token| token.map_or_else(String::new, |token| token.content));
    let fixed = |name: &str, score| (name.to_owned(), score, false);
    let (mut entries, skipped, last) = match class {
        // Four tokens of fairseq's own and the model's `<unk>` put down, then its pieces from the second on.
        Class::Camembert => (
            vec![
                fixed("<s>NOTUSED", 0.0),
                fixed(&pad, 0.0),
                fixed("</s>NOTUSED", 0.0),
                fixed(&unknown, 0.0),
                fixed("<unk>NOTUSED", -100.0),
            ],
            1,
            Some(fixed(&mask, 0.0)),
        ),
        // fairseq's four tokens in the place of the model's three.
        Class::XlmRoberta => (
            vec![fixed(&begin, 0.0), fixed(&pad, 0.0), fixed(&end, 0.0), fixed(&unknown, 0.0)],
            3,
            Some(fixed(&mask, 0.0)),
        ),
        _ => (Vec::new(), 0, None),
    };
    let pieces = whole.pieces.iter().skip(skipped);
    entries.extend(pieces.map(|piece| (piece.text().to_owned(), piece.score(), piece.kind() == NORMAL)));
    entries.extend(last);
    // transformers 4 merged for every class; 5 refuses for CamemBERT's, and reads the scores as Unigram's for the others.
    if class == Class::Camembert && whole.trainer.model_type() == BPE {
        return merging(&entries, &unknown);
    }
    let vocab: Vec<(String, f64)> =
        entries.into_iter().map(|(name, score, _)| (name, f64::from(score))).collect();
    class.unigram(&vocab, &unknown, usize::try_from(whole.trainer.unk_id()).unwrap_or_default())
}

/// A BPE that joins two pieces wherever that gives a third, in the order of the scores. Entries are name, score, and
/// whether it is an ordinary piece.
fn merging(entries: &[(String, f32, bool)], unknown: &str) -> Value {
    let normal: BTreeMap<&str, (f32, usize)> = (entries.iter().enumerate())
        .filter(|(_, (_, _, normal))| *normal)
        .map(|(id, (name, score, _))| (name.as_str(), (*score, id)))
        .collect();
    let mut ranked: Vec<(f32, usize, &str, &str)> = Vec::new();
    for (name, &(score, id)) in &normal {
        for (at, _) in name.char_indices().skip(1) {
            let (left, right) = name.split_at(at);
            if normal.contains_key(left) && normal.contains_key(right) {
                ranked.push((-score, id, left, right));
            }
        }
    }
    ranked.sort_by(|one, other| {
        one.0.total_cmp(&other.0).then_with(|| (one.1, one.2, one.3).cmp(&(other.1, other.2, other.3)))
    });
    let merges = ranked.into_iter().map(|(_, _, left, right)| json!([left, right])).collect();
    let vocab = (0..).zip(entries).map(|(id, (name, ..))| (name.clone(), Value::from(id))).collect();
    let mut model = bpe(vocab, merges);
    model["unk_token"] = unknown.into();
    model["fuse_unk"] = true.into();
    model
}

/// The pieces' names. Of a BPE model's, those that the added tokens of the folder call otherwise have other ones.
fn names(whole: &Whole, settings: &Settings) -> Vec<String> {
    let mut names: Vec<String> = whole.pieces.iter().map(|piece| piece.text().to_owned()).collect();
    if whole.trainer.model_type() == BPE {
        let added: BTreeMap<usize, &str> =
            settings.added.iter().map(|(id, token)| (*id as usize, token.content.as_str())).collect();
        let kept: BTreeSet<String> = (0..)
            .zip(&names)
            .filter(|(id, _)| !added.contains_key(id))
            .map(|(_, name)| name.clone())
            .collect();
        for (id, name) in added {
            if let Some(place) = names.get_mut(id).filter(|_| !kept.contains(name)) {
                name.clone_into(place);
            }
        }
    }
    names
}

/// Normalizer, pre-tokenizer and decoder as the model's own settings ask for. `own` are its user-defined pieces.
fn steps(whole: &Whole, charsmap: Option<&Value>, own: &[&str], legacy: bool) -> [Value; 3] {
    let spec = &whole.normalizer;
    let replace =
        |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let mut normalizers: Vec<Value> = charsmap.cloned().into_iter().collect();
    if spec.remove_extra_whitespaces() {
        normalizers.push(replace(json!({"Regex": r"\A +| +\z"}), ""));
        normalizers.push(replace(json!({"Regex": " {2,}"}), " "));
    }
    if spec.escape_whitespaces() {
        normalizers.push(replace(json!({"String": " "}), "▁"));
    }
    let mut splits = Vec::new();
    let mut decoders = vec![replace(json!({"String": "▁"}), " ")];
    if whole.trainer.byte_fallback() {
        decoders.push(json!({"type": "ByteFallback"}));
    }
    if spec.add_dummy_prefix() {
        if legacy {
            // The step below puts no `▁` before a `▁`, and SentencePiece does.
            normalizers.push(replace(json!({"Regex": r"\A▁"}), "▁▁"));
        }
        let prepend = if legacy { "always" } else { "first" };
        splits.push(
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": prepend, "split": false}),
        );
        decoders.extend([
            json!({"type": "Fuse"}),
            json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}),
        ]);
    } else if whole.trainer.byte_fallback() {
        decoders.push(json!({"type": "Fuse"}));
    }
    if !own.is_empty() {
        let mut own: Vec<&str> = own.to_vec();
        own.sort_by_key(|piece| Reverse(piece.chars().count()));
        let pattern = own.into_iter().map(escaped).collect::<Vec<_>>().join("|");
        splits.push(
            json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}),
        );
    }
    let pre =
        if splits.is_empty() { Value::Null } else { json!({"type": "Sequence", "pretokenizers": splits}) };
    [
        json!({"type": "Sequence", "normalizers": normalizers}),
        pre,
        json!({"type": "Sequence", "decoders": decoders}),
    ]
}

/// A text as a regular expression that finds it.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
