use std::{
    collections::VecDeque,
    fs,
    sync::{Arc, Mutex},
};

use super::{lines::MOST, *};
use burn::tensor::Device;
use encoder::{
    model::Model,
    predictor::Precision,
    testing::fixture::{model, teacher_labels},
};
use text::labels::Labels;

fn predictor(model: Model) -> Predictor {
    Predictor::of(model, Device::flex())
}

fn student() -> Predictor {
    predictor(model(Labels::bio(["PER", "LOC", "ORG"]), &[]))
}

/// Gives one piece at each read, and fails the test when asked for more than is there.
struct Pipe(VecDeque<&'static [u8]>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.pop_front().expect("nobody waits for what was not written yet");
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

fn read(bytes: &'static [u8]) -> Source {
    Source::Read(Lines::new(Some(Path::new("in.txt")), BufReader::new(Box::new(bytes))))
}

fn written(predictor: &Predictor, source: &mut Source, format: Format) -> (String, Result<(), StageError>) {
    let mut bytes = Vec::new();
    let result = copy(predictor, source, &mut Output::new(&mut bytes, format)).or_else(Stop::outcome);
    (String::from_utf8(bytes).expect("UTF-8"), result)
}

#[test]
fn one_object_for_each_line_in_order_with_offsets_in_characters() {
    let lines = "\u{feff}🇫🇷 Anna Anna vit à Paris.\r\n\n  \nrien".as_bytes();
    let (text, result) = written(&student(), &mut read(lines), Format::Jsonl);
    result.expect("written");
    let objects: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let texts: Vec<_> = objects.iter().map(|object| object["text"].as_str().expect("text")).collect();
    assert_eq!(texts, ["🇫🇷 Anna Anna vit à Paris.", "", "  ", "rien"]);
    let entities = objects[0]["entities"].as_array().expect("a list");
    let of = |entity: &serde_json::Value| {
        (
            entity["type"].to_string(),
            entity["text"].to_string(),
            entity["start"].as_u64(),
            entity["end"].as_u64(),
        )
    };
    let name = |name: &str| format!("\"{name}\"");
    assert_eq!(of(&entities[0]), (name("PER"), name("Anna Anna"), Some(3), Some(12)));
    assert_eq!(of(&entities[1]), (name("LOC"), name("Paris"), Some(19), Some(24)));
    assert_eq!(entities.len(), 2);
    let keys: Vec<_> = entities[0].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["type", "text", "start", "end", "score"]);
    let score = entities[0]["score"].as_f64().expect("a number");
    assert!(score > 0.5 && score <= 1.0, "{score}");
    assert!(objects[1..].iter().all(|object| object["entities"] == serde_json::json!([])));
}

#[test]
fn a_teacher_answers_with_its_own_types() {
    let teacher = predictor(model(teacher_labels(), &[]));
    let found = teacher.entities(&["Paris Paris fête Noël à la CAF".to_owned()]).expect("entities");
    let found: Vec<_> = found[0].iter().map(|e| (e.kind.as_str(), e.start, e.end)).collect();
    assert_eq!(found, [("LOC", 0, 11), ("MISC", 17, 21), ("ORG", 27, 30)]);
}

#[test]
fn long_input_is_read_in_windows_and_nothing_is_lost() {
    let text = ["le chat de Anna dort"; 40].join(" ");
    let found = student().entities(std::slice::from_ref(&text)).expect("entities").remove(0);
    assert_eq!(found.len(), 40, "the model reads 62 pieces at once, the text has some hundred");
    assert!(found.iter().all(|e| text.chars().skip(e.start).take(e.end - e.start).eq("Anna".chars())));
}

#[test]
fn what_was_read_is_answered_before_more_is_awaited() {
    let pipe = Pipe([b"Anna\nPa".as_slice(), b"ris\n"].into());
    let mut lines = Lines::new(None, BufReader::new(pipe));
    assert_eq!(lines.next().expect("read"), ["Anna"]);
    assert_eq!(lines.next().expect("read"), ["Paris"]);
}

#[test]
fn a_large_input_comes_in_chunks() {
    let mut lines = Lines::new(None, BufReader::with_capacity(1 << 20, "x\n".repeat(1000).leak().as_bytes()));
    let chunks: Vec<_> =
        std::iter::from_fn(|| Some(lines.next().expect("read").len()).filter(|n| *n > 0)).collect();
    assert_eq!(chunks, [MOST, 1000 - MOST]);
}

#[test]
fn a_line_that_is_not_utf8_is_named_after_the_lines_before_it_are_answered() {
    let (text, result) =
        written(&student(), &mut read(b"Anna\nrien\nParis \xe9t\xe9\nAnna\n"), Format::Jsonl);
    assert_eq!(text.lines().count(), 2);
    let error = result.expect_err("Latin-1");
    assert_eq!(error.to_string(), "in.txt:3: not UTF-8 from byte 7 of the line on");
}

#[test]
fn a_table_aligns_entities_and_lets_no_control_character_through() {
    let mut source = Source::Given(vec!["Anna Anna à Paris\u{1b}[2J".to_owned(), String::new()].into_iter());
    let (text, result) = written(&student(), &mut source, Format::Table);
    result.expect("written");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "1  Anna Anna à Paris\u{fffd}[2J");
    assert!(lines[1].starts_with("   PER  Anna Anna        0-9  0."), "{text}");
    assert!(lines[2].starts_with("   LOC  Paris          12-17  0."), "{text}");
    assert_eq!(lines[3..], ["2", "   no entities"]);
}

/// Takes a few bytes and then is gone.
struct Gone(Arc<Mutex<usize>>);

impl Write for Gone {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        *self.0.lock().expect("alone") += 1;
        if *self.0.lock().expect("alone") > 1 {
            Err(io::ErrorKind::BrokenPipe.into())
        } else {
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_work_quietly() {
    let writes = Arc::new(Mutex::new(0));
    let mut output = Output::new(Gone(Arc::clone(&writes)), Format::Jsonl);
    let stopped = copy(&student(), &mut read(b"Anna\nAnna\n"), &mut output);
    assert!(matches!(&stopped, Err(Stop::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe));
    stopped.or_else(Stop::outcome).expect("no error");
    assert_eq!(*writes.lock().expect("alone"), 2);
    let full = Stop::Write(io::ErrorKind::StorageFull.into()).outcome().expect_err("a full disk is an error");
    assert_eq!(full.to_string(), "cannot write the entities");
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
    let parse = |arguments: &[&str]| {
        let matches = command().try_get_matches_from([&["predict"], arguments].concat())?;
        Arguments::from_arg_matches(&matches)
    };
    let arguments = parse(&["--model", "m", "--format", "jsonl", "a b", "c"]).expect("understood");
    assert_eq!((arguments.text.len(), arguments.format), (2, Some(Format::Jsonl)));
    assert!(parse(&["a"]).is_err(), "a model is needed");
    assert!(parse(&["--model", "m", "--input", "-", "a"]).is_err(), "texts or a file");
}

#[test]
fn a_model_opened_in_eight_or_sixteen_bits_finds_the_same_entities() {
    let folder = tempfile::tempdir().expect("a folder");
    student().model().save(folder.path()).expect("saved");
    let text = ["Anna Anna vit à Paris. CAF de Paris, Anna".to_owned()];
    let found = [Precision::F32, Precision::Int8, Precision::Bf16].map(|precision| {
        let predictor = Predictor::open(folder.path(), &Device::flex(), precision).expect("a model");
        let packed = predictor.model().network.layers.iter().all(|layer| layer.prepacked.is_some());
        assert_eq!(packed, precision != Precision::Bf16);
        let found = predictor.entities(&text).expect("entities").remove(0);
        found.into_iter().map(|e| (e.kind, e.start, e.end)).collect::<Vec<_>>()
    });
    assert_eq!(found[0].len(), 5);
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
}

#[test]
fn what_to_do_about_a_line_is_judged_by_the_whole_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mixed.txt");
    let mut bytes = "opéré à l’hôpital\n".repeat(20).into_bytes();
    bytes.extend(b"op\xe9r\xe9\n");
    fs::write(&path, &bytes).expect("written");
    let mut lines = Lines::new(Some(&path), BufReader::new(bytes.as_slice()));
    lines.next().expect("good lines come first");
    let error = lines.next().expect_err("the last line");
    assert!(error.advice().is_some_and(|help| help.starts_with("the rest is UTF-8")), "{:?}", error.advice());
    let mut lines = Lines::new(None, BufReader::new(b"op\xe9r\xe9\n".as_slice()));
    let error = lines.next().expect_err("of a pipe");
    assert!(
        error.advice().is_some_and(|help| help.contains("iconv -f WINDOWS-1252")),
        "{:?}",
        error.advice()
    );
}
