use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("written");
    }
    folder
}

#[test]
fn a_pointer_is_told_from_the_file_and_the_way_to_it_is_said() {
    let folder =
        folder(&[("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")]);
    let error = read(&folder.path().join(WEIGHTS)).expect_err("a pointer");
    assert!(error.to_string().ends_with("is a Git LFS pointer and not the file itself"), "{error}");
    let command = format!("git -C {0} lfs install --local && git -C {0} lfs pull", folder.path().display());
    assert!(error.advice().is_some_and(|help| help.contains(&command)), "{:?}", error.advice());
}

#[test]
fn shards_are_those_that_the_index_names() {
    let index = r#"{"metadata": {}, "weight_map": {"b": "model-2.safetensors", "a": "model-1.safetensors", "c": "model-1.safetensors"}}"#;
    let folder = folder(&[(INDEX, index), ("model-1.safetensors", ""), ("other.safetensors", "")]);
    let error = weights(folder.path()).expect_err("one is missing").to_string();
    assert!(error.ends_with("the file model-2.safetensors that it names is not there"), "{error}");
    fs::write(folder.path().join("model-2.safetensors"), "").expect("written");
    let names: Vec<_> = weights(folder.path())
        .expect("both")
        .iter()
        .map(|path| path.file_name().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["model-1.safetensors", "model-2.safetensors"]);
    // One whole file wins, as in transformers.
    fs::write(folder.path().join(WEIGHTS), "").expect("written");
    assert_eq!(weights(folder.path()).expect("the whole"), [folder.path().join(WEIGHTS)]);
}

#[test]
fn what_torch_wrote_is_taken_where_there_are_no_safetensors() {
    let index = r#"{"weight_map": {"a": "pytorch_model-1.bin"}}"#;
    let folder = folder(&[(PYTORCH_INDEX, index), ("pytorch_model-1.bin", "")]);
    let file = |name: &str| vec![folder.path().join(name)];
    assert_eq!(weights(folder.path()).expect("a shard"), file("pytorch_model-1.bin"));
    for name in [PYTORCH, WEIGHTS] {
        fs::write(folder.path().join(name), "").expect("written");
        assert_eq!(weights(folder.path()).expect("whole"), file(name));
    }
}

#[test]
fn of_a_repository_one_form_of_the_weights_is_needed() {
    let of = |names: &str| {
        let names: Vec<String> = names.split(' ').map(str::to_owned).collect();
        needed(&names).map(|names| names.join(" ")).map_err(|invalid| invalid.message)
    };
    let all = "README.md config.json model.safetensors onnx/model.onnx pytorch_model.bin tokenizer.json";
    assert_eq!(of(all).as_deref(), Ok("README.md config.json model.safetensors tokenizer.json"));
    let shards = "config.json model-1.safetensors model-2.safetensors model.safetensors.index.json pytorch_model.bin vocab.txt";
    let weights = |names: &str| names.split(' ').filter(|name| !is_outside(name)).count();
    assert_eq!((weights("config.json tokenizer.json vocab.json merges.txt"), weights(shards)), (0, 4));
    let right = "config.json model-1.safetensors model-2.safetensors model.safetensors.index.json vocab.txt";
    assert_eq!(of(shards).as_deref(), Ok(right));
    assert_eq!(
        of("config.json pytorch_model.bin vocab.txt").as_deref(),
        Ok("config.json pytorch_model.bin vocab.txt")
    );
    assert_eq!(of("model.safetensors vocab.txt"), Err("it has no config.json".to_owned()));
    assert!(of("config.json tf_model.h5 vocab.txt").is_err_and(|message| message.contains("no weights")));
    assert!(of("config.json model.safetensors").is_err_and(|message| message.contains("no tokenizer")));
}

#[test]
fn an_index_leads_nowhere_else() {
    for name in ["../x.safetensors", "/etc/passwd", ""] {
        let index = serde_json::json!({"weight_map": {"a": name}}).to_string();
        let folder = folder(&[(INDEX, &index)]);
        let error = weights(folder.path()).expect_err(name).to_string();
        assert!(error.contains("is no file of the folder"), "{error}");
    }
}

#[test]
fn what_is_missing_is_named_with_a_way_to_get_it() {
    for (files, message, help) in [
        (&[("tf_model.h5", "")][..], "tf_model.h5 alone", "from_pretrained(sys.argv[1], from_tf=True)"),
        (&[("model.onnx", "")][..], "model.onnx alone", "exported from"),
        (&[("flax_model.msgpack", "")][..], "flax_model.msgpack alone", "from_flax=True"),
        (&[][..], "has no model.safetensors and no pytorch_model.bin", "Hugging Face layout"),
    ] {
        let error = weights(folder(files).path()).expect_err(message);
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.advice().is_some_and(|advice| advice.contains(help)), "{:?}", error.advice());
    }
}

#[test]
fn a_folder_of_the_hubs_cache_says_which_folder_in_it_is_the_model() {
    let root = folder(&[]);
    let at = |path: &str| root.path().join(path);
    let put = |path: &str, content: &str| {
        fs::create_dir_all(at(path).parent().expect("a folder")).expect("created");
        fs::write(at(path), content).expect("written");
    };
    let help = |path: &str| {
        let error = config(&at(path)).expect_err("has none");
        assert!(error.to_string().ends_with("has no config.json"), "{error}");
        error.advice().expect("has help").to_owned()
    };
    assert_eq!(help(""), LAYOUT);
    put("snapshots/a/config.json", "{}");
    assert!(help("").ends_with("/snapshots/a`") && help("snapshots").ends_with("/snapshots/a`"));
    put("snapshots/b/config.json", "{}");
    put("snapshots/c/README.md", "");
    put("refs/main", "b\n");
    let said = help("");
    assert!(said.find("/snapshots/b`") < said.find("/snapshots/a`") && !said.contains("/c`"), "{said}");
    assert_eq!(config(&at("snapshots/b")).expect("is there"), at("snapshots/b/config.json"));
}

#[test]
fn a_tokenizer_is_read_from_the_most_complete_file_that_is_there() {
    let names =
        ["tokenizer.json", "spiece.model", "tokenizer.model", "vocab.txt", "vocab.json", "merges.txt"];
    for first in 0..names.len() {
        let all = names.map(|name| (name, ""));
        let folder = folder(&all[first..]);
        let path = |name: &str| folder.path().join(name);
        let expected = match first {
            0 => Some(Vocabulary::Json(path("tokenizer.json"))),
            1 => Some(Vocabulary::SentencePiece(path("spiece.model"))),
            2 => Some(Vocabulary::SentencePiece(path("tokenizer.model"))),
            3 => Some(Vocabulary::WordPiece(path("vocab.txt"))),
            4 => Some(Vocabulary::ByteLevel([path("vocab.json"), path("merges.txt")])),
            _ => None,
        };
        assert_eq!(tokenizer(folder.path()).ok(), expected);
    }
    for (files, message) in [
        (&[("merges.txt", "")][..], "has merges.txt and no vocab.json"),
        (&[("vocab.json", "")][..], "has vocab.json and no merges.txt"),
        (&[][..], "has no tokenizer: none of tokenizer.json, sentencepiece.bpe.model, "),
    ] {
        let error = tokenizer(folder(files).path()).expect_err(message);
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.advice().is_some_and(|advice| advice.contains("own repository")), "{error:?}");
    }
}

#[test]
fn a_path_in_a_command_survives_the_shell() {
    assert_eq!(quoted(Path::new("a/b")), "a/b");
    assert_eq!(quoted(Path::new("-x")), "./-x");
    let path = "l'été 2 \"x\" $y";
    assert_eq!(shlex::split(&quoted(Path::new(path))), Some(vec![path.to_owned()]));
}
