//! What of the environment a command sees, and that no secret gets into a file.

use std::fs;

use crate::project::{Project, TWO};

const ASKS: &str = r#"
[stage.fetch]
use = "command"
outputs = { out = "out/fetched.txt" }
env = ["MODEL", "HF_TOKEN", "ABSENT"]
params = { run = "echo fetch >> trace; test \"$HF_TOKEN\" = \"$(cat data/expected)\"; echo $MODEL ${{ABSENT-none}} > {out}" }
"#;

#[test]
fn a_command_sees_what_is_listed_and_nothing_else() {
    let project = Project::new(&TWO.replace("sort {data} >", "env >"));
    let given = [
        ("HF_TOKEN", "hf_secret"),
        ("MY_SECRET", "secret"),
        ("PYTHONPATH", "/secret"),
        ("https_proxy", "http://me:secret@host"),
        ("LC_ALL", "fr_FR.UTF-8"),
        ("LANG", "fr_FR.UTF-8"),
        ("TZ", "America/New_York"),
        ("CUDA_HOME", "/opt/cuda"),
        ("BASH_ENV", "evil.sh"),
    ];
    let ended = project.with(&given, &["run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let seen = project.read("out/sorted.txt");
    for line in ["LC_ALL=C.UTF-8", "TZ=UTC", "CUDA_HOME=/opt/cuda"] {
        assert!(seen.lines().any(|seen| seen == line), "{line}: {seen}");
    }
    let shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    let passed = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LD_LIBRARY_PATH", "RUST_BACKTRACE"];
    let fixed = ["LC_ALL", "TZ", "RAYON_NUM_THREADS", "KERNELS_LIMIT"];
    for line in seen.lines() {
        let name = line.split('=').next().expect("has a name");
        let listed = [&shell[..], &passed, &fixed].concat().contains(&name);
        let family =
            ["CUDA_", "NVIDIA_", "CUBECL_", "NER_PIPE_"].iter().any(|family| name.starts_with(family));
        assert!(listed || family, "{name}");
    }
    assert!(!seen.contains("secret"));
}

#[test]
fn sorting_and_dates_do_not_depend_on_who_runs() {
    let text = TWO.replace("sort {data} >", "(printf 'b\\\\nA\\\\na\\\\nB\\\\n' | sort; date +%Z) >");
    let results = [("C", "Asia/Tokyo"), ("en_US.UTF-8", "Europe/Paris")].map(|(locale, zone)| {
        let project = Project::new(&text);
        let environment = [("LC_ALL", locale), ("LANG", locale), ("TZ", zone)];
        assert_eq!(project.with(&environment, &["run"]).code, Some(0));
        project.read("out/sorted.txt")
    });
    assert_eq!(results, ["A\nB\na\nb\nUTC\n", "A\nB\na\nb\nUTC\n"]);
}

/// All bytes of all files below the project, but for its own of `data/`.
fn holds(project: &Project, what: &str) -> Vec<String> {
    let files = walkdir::WalkDir::new(project.path("")).into_iter().flatten();
    let files =
        files.filter(|file| file.file_type().is_file() && !file.path().starts_with(project.path("data")));
    let holding = files.filter(|file| {
        let bytes = fs::read(file.path()).expect("is readable");
        bytes.windows(what.len()).any(|window| window == what.as_bytes())
    });
    holding.map(|file| file.path().display().to_string()).collect()
}

#[test]
fn a_variable_that_is_asked_for_counts_and_a_secret_is_in_no_file() {
    let project = Project::new(ASKS);
    let run = |model: &str, token: &str| {
        project.write("data/expected", token);
        let ended = project.with(&[("MODEL", model), ("HF_TOKEN", token)], &["run"]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        project.trace().len()
    };
    assert_eq!(run("small", "a-token-of-mine"), 1);
    assert_eq!(project.read("out/fetched.txt"), "small none\n");
    assert_eq!(run("small", "a-token-of-mine"), 1, "reused");
    assert_eq!(run("small", "another-token-of-mine"), 1, "a new token is no new input");
    let why = project.with(&[("MODEL", "large"), ("HF_TOKEN", "x")], &["why", "fetch"]).out;
    assert!(why.contains("params.env.MODEL"), "{why}");
    assert_eq!(run("large", "a-token-of-mine"), 2);
    assert_eq!(holds(&project, "token-of-mine"), [""; 0]);
    assert!(!holds(&project, "HF_TOKEN").is_empty(), "this would find it");
}

#[test]
fn a_secret_in_a_command_line_is_refused_with_the_way_to_pass_it_and_shown_nowhere() {
    for (line, secret) in [
        ("curl --token hf_abcdefghijklmnopqrstuvwx x > {out}", "hf_abcdefghijkl"),
        ("PGPASSWORD=hunter2zz psql > {out}", "hunter2zz"),
        ("git clone https://me:hunter2zz@host/x {out}", "hunter2zz"),
        ("curl -H 'Authorization: Bearer hunter2zz' x > {out}", "hunter2zz"),
    ] {
        let project = Project::new(&TWO.replace("sort {data} > {out}", line));
        let set = Project::new(TWO);
        let by_set = format!("sort.run={line}");
        for (project, arguments) in [
            (&project, &["run"] as &[&str]),
            (&project, &["status"]),
            (&project, &["run", "--format", "json"]),
            (&set, &["run", "--set", &by_set]),
        ] {
            let ended = project.ner_pipe(arguments);
            let said = ended.out + &ended.err;
            assert_eq!(ended.code, Some(2), "{arguments:?} {said}");
            assert!(said.contains("looks like a secret") && said.contains("env = ["), "{said}");
            assert!(!said.contains(secret), "{arguments:?}: {said}");
            assert!(!project.exists("cache") && !project.exists("pipeline.lock"));
        }
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    for (env, said) in [
        ("[\"LC_ALL\"]", "`LC_ALL` is the same for every stage"),
        ("[\"TZ\"]", "`TZ` is the same for every stage"),
        ("[\"NER_PIPE_X\"]", "ner-pipe's own"),
        ("[\"TOKEN=abcdefghijkl\"]", "not the name of a variable"),
        ("[\"\"]", "not the name of a variable"),
        ("\"HF_TOKEN\"", "must be a list of names"),
        ("[1]", "must be a list of names"),
    ] {
        let project = Project::new(&ASKS.replace("[\"MODEL\", \"HF_TOKEN\", \"ABSENT\"]", env));
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(2), "{env}");
        assert!(ended.err.contains(said), "{env}: {}", ended.err);
        assert!(!ended.err.contains("abcdefghijkl"), "{}", ended.err);
    }
}
