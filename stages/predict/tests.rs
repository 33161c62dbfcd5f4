use std::{
    collections::VecDeque,
    fs,
    io::BufReader,
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::{
    lines::{Lines, MOST},
    stream::Texts,
    *,
};
use burn::tensor::Device;
use encoder::{
    model::Model,
    predictor::Precision,
    testing::fixture::{model, teacher_labels},
};
use text::labels::Labels;

fn predictor(model: Model) -> Predictor {
    Predictor::of(model, Device::flex()).expect("scores are readable")
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

/// What is written of what comes from a pipe with these bytes.
fn written(
    predictor: &Predictor,
    bytes: &'static [u8],
    options: &Options,
    format: Format,
) -> (String, Result<(), StageError>) {
    let mut out = Vec::new();
    let result = copied(predictor, bytes, options, format, &mut out).or_else(Stop::outcome);
    (String::from_utf8(out).expect("UTF-8"), result)
}

fn copied(
    predictor: &Predictor,
    bytes: &'static [u8],
    options: &Options,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Stop> {
    let Piped::Texts(texts) = Piped::of(Some(Path::new("in.txt")), bytes, options)? else {
        panic!("it is of a file")
    };
    let mut copy = Copy::new(predictor, Keep::default(), options, Progress::none());
    copy.texts("in.txt", *texts, format.writer(Style::default()).as_mut(), &mut [out])
}

#[test]
fn one_object_for_each_line_in_order_with_offsets_in_characters() {
    let lines = "\u{feff}🇫🇷 Anna Anna vit à Paris.\r\n\n  \nrien".as_bytes();
    let options = Options::default();
    let (text, result) = written(&student(), lines, &options, Format::Jsonl);
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
fn scores_are_as_its_temperatures_say_until_something_is_done_to_the_model() {
    let scores = |model: Model| {
        let found = predictor(model).entities(&["Anna vit à Paris."]).expect("entities");
        found[0].iter().map(|entity| (entity.kind.clone(), entity.score)).collect::<Vec<_>>()
    };
    let mut student = model(Labels::bio(["PER", "LOC", "ORG"]), &[]);
    let before = scores(student.clone());
    let read = serde_json::from_str(r#"{"PER":{"temperature":2.0,"entities":60}}"#).expect("temperatures");
    student.config.calibrate(&read);
    let folder = tempfile::tempdir().expect("a folder");
    student.save(folder.path()).expect("saved");
    let loaded = Model::load(folder.path(), &Device::flex()).expect("loaded");
    let after = scores(loaded);
    // σ(logit(p) / 2): odds become their square root.
    let odds = |p: f64| p / (1.0 - p);
    assert_eq!((before[0].0.as_str(), after[1].clone()), ("PER", before[1].clone()), "a LOC has none");
    assert!((odds(after[0].1) / odds(before[0].1).sqrt() - 1.0).abs() < 1e-6, "{before:?} {after:?}");

    student.config.record(serde_json::json!({ "stage": "prune" }));
    assert_eq!(scores(student), before);
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
    assert_eq!(lines.next().expect("read"), [(1, Ok("Anna".to_owned()))]);
    assert_eq!(lines.next().expect("read"), [(2, Ok("Paris".to_owned()))]);
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
    let options = Options::default();
    let lines = b"Anna\nrien\nParis \xe9t\xe9\nAnna\n";
    let (text, result) = written(&student(), lines, &options, Format::Jsonl);
    assert_eq!(text.lines().count(), 2);
    let error = result.expect_err("Latin-1");
    assert_eq!(error.to_string(), "in.txt:3: not UTF-8 from byte 7 of the line on");
    let (text, result) = written(&student(), lines, &Options { errors: 1, ..options }, Format::Jsonl);
    result.expect("one may be bad");
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn a_table_aligns_entities_and_lets_no_control_character_through() {
    let options = Options::default();
    let lines = "Anna Anna à Paris\u{1b}[2J\n\n".as_bytes();
    let (text, result) = written(&student(), lines, &options, Format::Table);
    result.expect("written");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "1  Anna Anna à Paris\\u001b[2J");
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
    let (mut gone, options) = (Gone(Arc::clone(&writes)), Options::default());
    let stopped = copied(&student(), b"Anna\nAnna\n", &options, Format::Jsonl, &mut gone);
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
    let kept =
        parse(&["--model", "m", "--types", "PER,LOC", "--threshold", "0.5", "--threshold", "PER=0.7", "a"])
            .expect("understood");
    assert_eq!((kept.types.len(), kept.threshold.len()), (2, 2));
    assert!(parse(&["--model", "m", "--force", "a"]).is_err(), "nothing would be overwritten");
    assert!(parse(&["--model", "m", "--unit", "file", "a"]).is_err(), "a text is a text");
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
    let (options, predictor) = (Options::default(), student());
    let error = |texts: Texts<'_>| {
        let mut copy = Copy::new(&predictor, Keep::default(), &options, Progress::none());
        let mut out = Vec::new();
        let stopped =
            copy.texts("a", texts, Format::Jsonl.writer(Style::default()).as_mut(), &mut [&mut out]);
        (StageError::from(stopped.expect_err("not UTF-8")), out.len())
    };
    let reader = |bytes: &[u8]| BufReader::new(Box::new(io::Cursor::new(bytes.to_owned())) as Box<dyn Read>);
    let (stopped, out) = error(Texts::new(Lines::new(Some(&path), reader(&bytes)), 1, false, &options));
    assert!(out > 0, "good lines come first");
    let advice = stopped.advice().expect("advice");
    assert!(advice.starts_with("the rest is UTF-8") && advice.ends_with("`--errors 1`"), "{advice}");
    let (stopped, _) = error(Texts::new(Lines::new(None, reader(b"op\xe9r\xe9\n")), 1, false, &options));
    let advice = stopped.advice().expect("advice");
    assert!(advice.contains("iconv -f WINDOWS-1252"), "{advice}");
}

#[test]
fn lines_are_those_that_a_whole_file_has() {
    let bytes = b"\xef\xbb\xbfAnna\rParis\r\n\xef\xbb\xbfrien\r\r\n\rfin\n";
    let mut lines = Lines::new(None, BufReader::new(bytes.as_slice()));
    let lines: Vec<_> =
        lines.next().expect("read").into_iter().map(|(n, line)| (n, line.expect("UTF-8"))).collect();
    let expected = [(1, "Anna"), (2, "Paris"), (3, "rien"), (4, ""), (5, "fin")];
    assert_eq!(lines, expected.map(|(number, line)| (number, line.to_owned())));
}

/// What predict does as a whole with a student and these arguments, and says at the end.
fn predicted(arguments: &[&str]) -> Result<Vec<String>, ToolError> {
    let matches = command()
        .try_get_matches_from([&["predict", "--model", "m"], arguments].concat())
        .expect("understood");
    let arguments = Arguments::from_arg_matches(&matches).expect("understood");
    let options = arguments.reading.options()?;
    let work = Work::of(&arguments, &options, false)?;
    let predictor = student();
    let keep = Keep::new(&arguments.types, &arguments.threshold, predictor.model().config.labels.types())?;
    let said = format!("{keep:?} {}", work.format);
    let mut copy = Copy::new(&predictor, keep, &options, work.progress());
    let result = work.copied(&mut copy, &|| Ok(said.clone())).map_err(options::told);
    result.map(|()| copy.lost())
}

fn message(result: Result<Vec<String>, ToolError>) -> (String, Option<String>) {
    match result.expect_err("refused") {
        ToolError::Wrong(error) => (error.message, error.help),
        ToolError::Failed(error) => (error.to_string(), error.advice().map(str::to_owned)),
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, content).expect("written");
    }
    folder
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Has enough when texts were handed on twice.
#[derive(Default)]
struct Taking {
    bytes: Vec<u8>,
    flushed: usize,
}

impl Write for Taking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed += 1;
        if self.flushed < 2 { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

#[test]
fn records_of_a_pipe_keep_their_fields_and_are_answered_as_they_come() {
    let options = Options::default();
    let pipe =
        Pipe([b"{\"id\":7,\"text\":\"Anna\",\"z\":null}\n".as_slice(), b"{\"text\":\"rien\"}\n"].into());
    let Piped::Texts(texts) = Piped::of(None, pipe, &options).expect("read") else { panic!("records") };
    let (predictor, mut taking) = (student(), Taking::default());
    let mut copy = Copy::new(&predictor, Keep::default(), &options, Progress::none());
    let mut writer = Format::Jsonl.writer(Style::default());
    copy.texts("a", *texts, writer.as_mut(), &mut [&mut taking]).expect_err("two are enough");
    let text = String::from_utf8(taking.bytes).expect("UTF-8");
    assert!(
        text.starts_with("{\"id\":7,\"text\":\"Anna\",\"z\":null,\"entities\":[{\"type\":\"PER\""),
        "{text}"
    );
    assert!(text.ends_with("{\"text\":\"rien\",\"entities\":[]}\n"), "{text}");
}

#[test]
fn a_bad_record_of_a_pipe_is_named_after_those_before_it_are_answered() {
    let options = Options::default();
    let lines = b"{\"text\":\"Anna\"}\nAnna\n{\"text\":\"Anna\"}\n";
    let (text, result) = written(&student(), lines, &options, Format::Jsonl);
    assert_eq!(text.lines().count(), 1);
    assert_eq!(result.expect_err("no JSON").to_string(), "in.txt:2: no JSON at column 1");
    let options = Options { errors: 1, ..options };
    let (text, result) = written(&student(), lines, &options, Format::Jsonl);
    result.expect("one may be bad");
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn a_folder_gives_a_folder_and_goes_on_where_it_was_stopped() {
    let input = folder(&[
        ("a.txt", "Anna vit à Paris.\n"),
        ("sub/b.jsonl", "{\"id\":1,\"text\":\"Anna\"}\n"),
        ("sub/c.conll", "Anna\tO\nvit\tO\n\nParis\tB-PER\n"),
    ]);
    let output = tempfile::tempdir().expect("a folder");
    let out = output.path().join("new");
    let text = |name: &str| fs::read_to_string(out.join(name)).expect("written");
    let run = |more: &[&str]| {
        let paths =
            ["--input", input.path().to_str().expect("UTF-8"), "--output", out.to_str().expect("UTF-8")];
        predicted(&[&paths, more].concat())
    };
    run(&[]).expect("written");
    assert_eq!(objects(&text("sub/b.jsonl"))[0]["id"], 1);
    assert_eq!(objects(&text("a.jsonl"))[0]["entities"].as_array().map(Vec::len), Some(2));
    assert_eq!(objects(&text("sub/c.jsonl")).len(), 2);
    // What is done is left, and what changed or is gone is written again.
    let before = fs::metadata(out.join("a.jsonl")).expect("there").modified().expect("a time");
    fs::remove_file(out.join("sub/b.jsonl")).expect("removed");
    fs::write(input.path().join("sub/c.conll"), "Paris\tO\nvit\tO\n\nAnna\tB-LOC\n").expect("written");
    run(&[]).expect("goes on");
    assert_eq!(fs::metadata(out.join("a.jsonl")).expect("there").modified().expect("a time"), before);
    assert_eq!(objects(&text("sub/b.jsonl")).len(), 1);
    assert_eq!(objects(&text("sub/c.jsonl"))[0]["text"], "Paris vit");
    // Other options write all again, and files of a person stay.
    run(&["--types", "LOC"]).expect("written");
    assert_eq!(objects(&text("a.jsonl"))[0]["entities"].as_array().map(Vec::len), Some(1));
    run(&["--format", "conll"]).expect("beside the others");
    assert_eq!(text("sub/c.conll"), "Paris\tB-LOC\nvit\tO\n\nAnna\tB-PER\n");
    fs::write(out.join("a.jsonl"), "mine").expect("written");
    let (error, help) = message(run(&[]));
    assert!(
        error.ends_with("a.jsonl is there already, and not as this command would have written it"),
        "{error}"
    );
    assert!(help.expect("help").contains("--force"));
    assert_eq!(text("a.jsonl"), "mine");
    run(&["--force"]).expect("overwritten");
    assert_eq!(objects(&text("a.jsonl")).len(), 1);
    let left: Vec<_> = fs::read_dir(&out).expect("a folder").filter_map(Result::ok).collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".partial")), "{left:?}");
}

#[test]
fn a_file_gives_a_file_of_the_format_and_none_that_is_there_is_lost() {
    let input =
        folder(&[("a.conll", "Anna\tO\nvit\tO\n\n-DOCSTART-\tO\n\nParis\tB-PER\n"), ("b.txt", "Anna\n")]);
    let path = |name: &str| input.path().join(name).display().to_string();
    predicted(&["--input", &path("a.conll"), "--format", "conll", "--output", &path("new.conll")])
        .expect("written");
    assert_eq!(
        fs::read_to_string(path("new.conll")).expect("there"),
        "Anna\tB-PER\nvit\tO\n\n-DOCSTART-\tO\n\nParis\tB-LOC\n"
    );
    predicted(&["--input", &path("b.txt"), "--format", "brat", "--output", &path("b.ann")])
        .expect_err("b.txt is there");
    assert_eq!(fs::read_to_string(path("b.txt")).expect("there"), "Anna\n");
    predicted(&["--input", &path("b.txt"), "--format", "brat", "--output", &path("c.ann")]).expect("written");
    assert!(fs::read_to_string(path("c.ann")).expect("there").starts_with("T1\tPER 0 4\tAnna\n"));
    predicted(&["--format", "html", "--output", &path("page.html"), "<Anna>"]).expect("written");
    assert!(fs::read_to_string(path("page.html")).expect("there").contains("&lt;"));
}

#[test]
fn a_bad_line_of_any_file_costs_itself_and_is_named() {
    let input = folder(&[("a.jsonl", "{\"text\":\"Anna\"}\n{\n{\"text\":\"Paris\"}\n")]);
    fs::write(input.path().join("b.txt"), b"Anna\nop\xe9r\xe9\nParis\n").expect("written");
    let (root, out) = (input.path().display().to_string(), tempfile::tempdir().expect("a folder"));
    let output = out.path().join("new").display().to_string();
    let run = |errors: &str| predicted(&["--input", &root, "--output", &output, "--errors", errors]);
    let (error, help) = message(run("1"));
    assert!(error.starts_with("2 bad records:") && error.contains("b.txt:2: not UTF-8"), "{error}");
    assert!(help.expect("help").ends_with("leave them out: `--errors 2`"));
    // What was whole before the stop is left.
    let said = run("2").expect("two may be bad");
    assert!(
        said.iter().any(|note| note.ends_with("b.txt:2: not UTF-8 from byte 3 of the line on: left out")),
        "{said:?}"
    );
    let text = |name: &str| fs::read_to_string(out.path().join("new").join(name)).expect("written");
    assert_eq!((objects(&text("a.jsonl")).len(), objects(&text("b.jsonl")).len()), (2, 2));
    let said = run("2").expect("done");
    assert_eq!(said, ["0 files written, 2 done before left as they are"]);
}

#[test]
fn odd_lines_cost_nothing_but_themselves_and_are_counted_where_a_form_has_no_place_for_them() {
    let input = tempfile::tempdir().expect("a folder");
    let path = |name: &str| input.path().join(name).display().to_string();
    // NUL bytes, nothing, blanks, no UTF-8, and a megabyte.
    let long = "Anna vit ".repeat(120_000);
    let lines: [&[u8]; 7] = [b"Anna\0vit", b"", b" \t", b"op\xe9r\xe9", b"\0\0", long.as_bytes(), b"Paris"];
    fs::write(path("a.txt"), lines.join(&b'\n')).expect("written");
    let said =
        predicted(&["--input", &path("a.txt"), "--output", &path("a.jsonl"), "--errors", "1"]).expect("read");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("a.txt:4: not UTF-8 from byte 3 of the line on: left out"), "{said:?}");
    let found = objects(&fs::read_to_string(path("a.jsonl")).expect("written"));
    let texts: Vec<&str> = found.iter().map(|object| object["text"].as_str().expect("a text")).collect();
    assert_eq!(texts, ["Anna\0vit", "", " \t", "\0\0", long.as_str(), "Paris"]);
    let entities = |at: usize| found[at]["entities"].as_array().expect("a list").len();
    assert_eq!((entities(1), entities(4), entities(5)), (0, 120_000, 1));
    let said =
        predicted(&["--input", &path("a.txt"), "--output", &path("a.conll"), "--errors", "1"]).expect("read");
    assert_eq!(said[1..], ["2 texts without a word are left out: this form has no place for them"]);
    let words =
        fs::read_to_string(path("a.conll")).expect("written").lines().filter(|line| !line.is_empty()).count();
    assert!(words > 240_000, "{words}");
}

#[test]
fn the_ending_of_the_output_says_its_form() {
    let input = folder(&[("a.conll", "Anna\tO\nvit\tO\n\nParis\tB-PER\n")]);
    let path = |name: &str| input.path().join(name).display().to_string();
    predicted(&["--input", &path("a.conll"), "--output", &path("b.conll")]).expect("written");
    assert_eq!(fs::read_to_string(path("b.conll")).expect("there"), "Anna\tB-PER\nvit\tO\n\nParis\tB-LOC\n");
    let (error, help) = message(predicted(&["--input", &path("a.conll"), "--output", &path("b.conll")]));
    assert!(error.ends_with("b.conll is there already"), "{error}");
    assert_eq!(help.as_deref(), Some("name another --output, or say --force to overwrite it"));
    predicted(&["--input", &path("a.conll"), "--output", &path("b.conll"), "--types", "PER", "--force"])
        .expect("overwritten");
    assert!(fs::read_to_string(path("b.conll")).expect("there").ends_with("Paris\tO\n"));
}

#[test]
fn what_cannot_be_meant_is_refused_before_any_work_with_what_to_type() {
    let input = folder(&[("a.txt", "Anna\n"), ("sub/b.txt", "Anna\n")]);
    let path = |name: &str| input.path().join(name).display().to_string();
    let root = input.path().display().to_string();
    for (arguments, error, advice) in [
        (
            vec!["--format", "brat", "Anna"],
            "brat is more than one file, and standard output is one",
            "--output",
        ),
        (
            vec!["--format", "conll", "--offsets", "bytes", "Anna"],
            "--offsets is of JSONL, and not of conll",
            "--format jsonl",
        ),
        (vec!["--types", "PERSON", "Anna"], "the model has no type `PERSON`", "--types PER"),
        (
            vec!["--input", &root, "--output", &path("sub/b.txt")],
            "is a file, and --input a folder",
            "--output FOLDER",
        ),
        (vec!["--input", &root, "--output", &path("sub")], "is in the input", "--output"),
        (vec!["--input", &path("a.txt"), "--output", &path("sub/b.txt")], "is there already", "--force"),
        (vec!["--input", &path("none")], "cannot read ", "name a file or folder"),
    ] {
        let (said, help) = message(predicted(&arguments));
        assert!(said.contains(error), "{said}");
        assert!(help.expect("help").contains(advice), "{said}");
    }
    assert_eq!(fs::read_to_string(path("sub/b.txt")).expect("there"), "Anna\n");
}
