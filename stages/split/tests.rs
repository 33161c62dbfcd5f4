use std::{fs, path::PathBuf};

use stage_contract::testing::context;

use stage_contract::Artifact;

use super::*;
use text::corpus::{GoldSet, Provenance};

fn record(source: &str, number: usize, text: &str, name: &str) -> Record {
    let words = text::words::words(text);
    let chars: Vec<char> = text.chars().collect();
    let is_name = |&[start, end]: &[usize; 2]| chars[start..end].iter().collect::<String>() == name;
    let tags: Vec<String> = words.iter().map(|w| if is_name(w) { "B-PER" } else { "O" }.to_owned()).collect();
    Record {
        id: format!("{source}:{number}"),
        text: text.to_owned(),
        source: source.to_owned(),
        group: format!("{source}:{number}"),
        score: vec![1.0; words.len()],
        words,
        tags,
        provenance: Provenance::Silver { model: "0".to_owned() },
    }
}

const NAMES_OF_PEOPLE: [&str; 7] = ["Durand", "Petit", "Moreau", "Lefèvre", "Garnier", "Faure", "Roussel"];
const ACTS: [&str; 11] = [
    "a rendez-vous lundi avec le service social de son quartier",
    "refuse le traitement proposé par la cardiologue",
    "vient chercher les résultats de sa prise de sang",
    "marche de nouveau sans aide depuis la rééducation",
    "demande une place en foyer de jour pour sa mère",
    "a été opéré du genou gauche il y a trois ans",
    "touche une pension d'invalidité de deuxième catégorie",
    "dort mal et mange peu depuis la fin de l'hiver",
    "souhaite changer de médecin traitant avant l'été",
    "attend la réponse de la commission des droits",
    "vit seule au quatrième étage sans ascenseur",
];

fn corpus() -> Corpus {
    let mut records = Vec::new();
    for (i, act) in ACTS.iter().enumerate() {
        for (j, name) in NAMES_OF_PEOPLE.iter().enumerate() {
            let other = NAMES_OF_PEOPLE[(i * j + 1) % 7];
            let text = format!("{name} {act}, dit {} {}.", ["la voisine de", "le frère de"][i % 2], other);
            records.push(record(["clinical", "social"][j % 2], i * 7 + j, &text, name));
        }
    }
    Corpus { records }
}

/// Runs the stage in a folder of its own; the files it wrote.
fn run(
    stage: &Split,
    corpus: &Corpus,
    exclude: Option<&Gold>,
    seed: u64,
) -> Result<[Vec<u8>; 4], StageError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let mut inputs = BTreeMap::from([("records".to_owned(), path("records.jsonl"))]);
    corpus.save(&path("records.jsonl")).expect("saved");
    if let Some(gold) = exclude {
        gold.save(&path("gold")).expect("saved");
        inputs.insert("exclude".to_owned(), path("gold"));
    }
    let names = ["train", "dev", "test", "report"];
    let outputs: BTreeMap<String, PathBuf> =
        names.iter().map(|&name| (name.to_owned(), path(name))).collect();
    let cx = Context { inputs: &inputs, outputs: &outputs, checkpoint: folder.path(), seed, ..context() };
    stage.run(&cx)?;
    Ok(names.map(|name| fs::read(path(name)).expect("an output")))
}

fn records(bytes: &[u8]) -> Vec<Record> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

fn ids(bytes: &[u8]) -> BTreeSet<String> {
    records(bytes).into_iter().map(|record| record.id).collect()
}

#[test]
fn every_record_is_in_one_part_and_the_report_counts_them() {
    let corpus = corpus();
    let [train, dev, test, report] =
        run(&Split { dev: 0.2, test: 0.2, ..Split::default() }, &corpus, None, 42).expect("split");
    let all: Vec<String> = [&train, &dev, &test].into_iter().flat_map(|part| ids(part)).collect();
    assert_eq!(all.len(), corpus.records.len());
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), corpus.records.len());
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["shared_clusters"], 0);
    assert_eq!(report["parts"]["train"]["records"], ids(&train).len());
    let entities = records(&train).iter().flat_map(mentions).count();
    assert!(entities > 0);
    assert_eq!(report["parts"]["train"]["entities"]["PER"], entities);
    assert!(report["parts"]["dev"]["sources"]["social"].as_u64() > Some(0));
    assert_eq!(report["test_mentions"]["mentions"], records(&test).iter().flat_map(mentions).count());
    let known: BTreeSet<_> = records(&train).iter().flat_map(mentions).collect();
    let seen = records(&test).iter().flat_map(mentions).filter(|m| known.contains(m)).count();
    assert_eq!(report["test_mentions"]["seen_in_train"], seen);
}

#[test]
fn the_same_seed_splits_alike_whatever_the_order_and_another_seed_otherwise() {
    let stage = Split { dev: 0.2, test: 0.2, ..Split::default() };
    let corpus = corpus();
    let first = run(&stage, &corpus, None, 42).expect("split");
    assert_eq!(first, run(&stage, &corpus, None, 42).expect("again"));
    let mut turned = corpus.clone();
    turned.records.reverse();
    let second = run(&stage, &turned, None, 42).expect("turned");
    for part in 0..3 {
        assert_eq!(ids(&first[part]), ids(&second[part]));
    }
    let other = run(&stage, &corpus, None, 43).expect("another seed");
    assert_ne!(ids(&first[2]), ids(&other[2]));
}

#[test]
fn near_duplicates_and_documents_stay_in_one_part() {
    let mut corpus = corpus();
    let copies: Vec<Record> = corpus
        .records
        .iter()
        .enumerate()
        .map(|(i, r)| record("copy", i, &r.text.to_uppercase().replace('.', " !"), ""))
        .collect();
    corpus.records.extend(copies);
    let far = ["Un mot du médecin de garde.", "Le repas du midi a été pris en chambre."];
    for (i, text) in far.iter().enumerate() {
        corpus.records.push(Record { group: "document 1".to_owned(), ..record("doc", i, text, "") });
    }
    let parts = run(&Split { dev: 0.2, test: 0.2, ..Split::default() }, &corpus, None, 1).expect("split");
    for part in &parts[..3] {
        let ids = ids(part);
        for i in 0..ACTS.len() * 7 {
            let original = &corpus.records[i].id;
            assert_eq!(ids.contains(original), ids.contains(&format!("copy:{i}")), "{original}");
        }
        assert_eq!(ids.contains("doc:0"), ids.contains("doc:1"));
    }
}

#[test]
fn what_a_measuring_set_says_leaves_every_part() {
    let corpus = corpus();
    let taken: Vec<(Vec<String>, Vec<String>)> = corpus.records[..5]
        .iter()
        .map(|record| {
            let words: Vec<String> = record.text.to_lowercase().split(' ').map(str::to_owned).collect();
            let tags = vec!["O".to_owned(); words.len()];
            (words, tags)
        })
        .collect();
    let gold = Gold { sets: vec![GoldSet::new("press_dev", taken)] };
    let [train, dev, test, report] = run(&Split::default(), &corpus, Some(&gold), 42).expect("split");
    let left: BTreeSet<String> = [&train, &dev, &test].into_iter().flat_map(|part| ids(part)).collect();
    assert!(corpus.records[..5].iter().all(|record| !left.contains(&record.id)));
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["excluded"]["records"], corpus.records.len() - left.len());
    assert_eq!(report["excluded"]["sets"]["press_dev"], 5);
}

#[test]
fn a_corpus_too_small_to_split_is_refused_with_a_way_out() {
    let tiny = Corpus { records: corpus().records[..2].to_vec() };
    let error = run(&Split::default(), &tiny, None, 42).expect_err("too small");
    assert!(error.to_string().contains("part is empty: 2 records make"), "{error}");
    let whole = Split { dev: 0.0, test: 0.0, ..Split::default() };
    assert_eq!(ids(&run(&whole, &tiny, None, 42).expect("no parts asked for")[0]).len(), 2);
    let gold =
        Gold { sets: vec![GoldSet::new("g", [(vec![tiny.records[0].text.clone()], vec!["O".to_owned()])])] };
    let one = Corpus { records: tiny.records[..1].to_vec() };
    let error = run(&whole, &one, Some(&gold), 42).expect_err("all excluded");
    assert!(error.to_string().contains("the train part is empty"), "{error}");
}

#[test]
fn a_share_of_0_leaves_its_part_empty_and_says_so() {
    let empty = |dev, test| Stage::empty(&Split { dev, test, ..Split::default() });
    assert_eq!(empty(0.1, 0.1), []);
    assert_eq!(empty(0.1, 0.0), [("test", "test")]);
    assert_eq!(empty(0.0, 0.0), [("dev", "dev"), ("test", "test")]);
}

#[test]
fn shares_that_leave_nothing_are_refused_by_name() {
    let nothing = Split { dev: 0.5, test: 0.5, ..Split::default() }.check().expect_err("refused");
    assert_eq!(nothing.at.as_deref(), Some("test"));
    Split::default().check().expect("the defaults");
}

#[test]
fn a_gold_set_that_cannot_be_read_is_noticed_before_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("g.bio"), "Anna B-PER\ndort O\nmot X-PER\n").expect("written");
    let paths = BTreeMap::from([("exclude".to_owned(), folder.path().to_owned())]);
    let error = Split::default().preflight(&Available::new(&paths), Device::CPU).expect_err("unreadable");
    assert_eq!(error.at.as_deref(), Some("exclude"));
    assert!(error.message.contains("g.bio:3"), "{}", error.message);
}

#[test]
fn a_hundred_thousand_sentences_are_clustered_in_seconds() {
    let mut rng = text::random::rng(5, "sentences");
    let texts: Vec<String> = (0..100_000)
        .map(|_| {
            use rand::Rng;
            let mut word = || {
                let letters = "aeioubcdlmnprst".as_bytes();
                (0..rng.random_range(3..9))
                    .map(|_| char::from(letters[rng.random_range(0..15)]))
                    .collect::<String>()
            };
            (0..18).map(|_| word()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let groups: Vec<String> = (0..texts.len()).map(|i| i.to_string()).collect();
    let members: Vec<Member<'_>> =
        texts.iter().zip(&groups).map(|(text, group)| Member { text, group }).collect();
    assert_eq!(cluster::clusters(&members, 0.8).names.len(), texts.len());
}
