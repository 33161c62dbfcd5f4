use std::fs;

use crate::project::Project;

/// One command stage with these outputs.
fn stage(outputs: &str, run: &str) -> String {
    format!(
        r#"
[sources]
in = {{ path = "data/in.txt", kind = "file" }}
[stage.make]
use = "command"
inputs = {{ data = "sources.in" }}
outputs = {outputs}
params = {{ run = """{run}""" }}
[stage.after]
use = "command"
inputs = {{ data = "make.out" }}
outputs = {{ copy = "out/copy" }}
params = {{ run = "cp -r {{data}} {{copy}}" }}
[stage.beside]
use = "command"
inputs = {{ data = "sources.in" }}
outputs = {{ copy = "out/beside.txt" }}
params = {{ run = "cp {{data}} {{copy}}" }}
"#
    )
}

fn fails(outputs: &str, run: &str) -> (Project, String) {
    let project = Project::new(&stage(outputs, run));
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.out, ended.err);
    assert!(!project.exists("out/made.txt") && !project.exists("out/copy"), "nothing is published");
    assert_eq!(project.read("out/beside.txt"), "b\na\nc\n", "what does not need it still runs");
    assert_eq!(project.entries().len(), 1);
    let (code, outcomes) = project.run(&[]);
    assert_eq!(code, 1, "a failure is not remembered as a result");
    assert_eq!(outcomes["make"], "failed");
    assert_eq!(outcomes["after"], "skipped");
    assert_eq!(outcomes["beside"], "reused");
    (project, ended.err)
}

const OUT: &str = r#"{ out = "out/made.txt" }"#;

#[test]
fn another_exit_code_than_0_fails_the_stage() {
    let (project, said) = fails(OUT, "cp {data} {out}; echo oh no; exit 3");
    assert!(said.contains("the command ended with exit code 3"), "{said}");
    assert!(said.contains("| oh no"), "the end of the log is shown: {said}");
    assert!(said.contains("`ner-pipe log make`") && said.contains("`ner-pipe run`"), "{said}");
    assert_eq!(project.stages()[0]["reasons"][0], "its last attempt failed");
}

#[test]
fn a_missing_output_fails_the_stage() {
    let (_, said) = fails(OUT, "true");
    assert!(said.contains("output `out` is missing"), "{said}");
}

#[test]
fn one_of_two_outputs_missing_publishes_neither() {
    let (project, said) = fails(r#"{ out = "out/made.txt", other = "out/other.txt" }"#, "cp {data} {out}");
    assert!(said.contains("output `other` is missing"), "{said}");
    assert!(!project.exists("out/other.txt"));
}

#[test]
fn an_output_of_the_wrong_sort_fails_the_stage() {
    let (_, said) = fails(OUT, "mkdir {out}");
    assert!(said.contains("output `out` is a folder, and must be a file"), "{said}");
    let (_, said) = fails(OUT, "mkfifo {out}");
    assert!(said.contains("output `out` is neither a file nor a folder"), "{said}");
}

#[test]
fn a_program_that_is_not_there_is_named_as_such() {
    let (_, said) = fails(OUT, "no-such-program");
    assert!(said.contains("exit code 127") && said.contains("install the program"), "{said}");
}

#[test]
fn a_killed_program_is_named_as_such() {
    let (_, said) = fails(OUT, "kill -9 $$");
    assert!(said.contains("killed by SIGKILL: often the kernel's out-of-memory killer"), "{said}");
    let (_, said) = fails(OUT, "sh -c 'kill -9 $$'; exit $?");
    assert!(said.contains("killed by SIGKILL"), "{said}");
}

#[test]
fn a_stage_reads_nothing_from_the_terminal() {
    let project = Project::new(&stage(OUT, "cat > {out}"));
    project.ok(&["run"]);
    assert_eq!(project.read("out/made.txt"), "", "an empty file is a result too");
    assert_eq!(project.read("out/copy"), "");
    assert_eq!(project.run(&[]).1["make"], "reused");
}

#[test]
fn paths_come_as_placeholders_and_in_the_environment() {
    let run = r#"test {data} = \"$NER_PIPE_IN_DATA\" && test {out} = \"$NER_PIPE_OUT_OUT\" && printf '%s' '{{x}}' > {out}"#;
    let project = Project::new(&stage(OUT, run));
    project.ok(&["run"]);
    assert_eq!(project.read("out/made.txt"), "{x}");
}

#[test]
fn an_output_keeps_the_file_name_that_it_is_published_under() {
    let project = Project::new(&stage(r#"{ out = "out/à lire.html" }"#, "basename {out} > {out}"));
    project.ok(&["run"]);
    assert_eq!(project.read("out/à lire.html"), "à lire.html\n");
    project.replace("pipeline.toml", "à lire.html", "à lire.pdf");
    assert_eq!(project.run(&[]).1["make"], "executed", "the program may go by the name");
    assert_eq!(project.read("out/à lire.pdf"), "à lire.pdf\n");
}

#[test]
fn a_folder_is_published_with_all_that_is_in_it() {
    let outputs = r#"{ out = { path = "out/dossier", kind = "folder" } }"#;
    let run = "mkdir -p {out}/'sous dossier'/vide; cp {data} {out}/'sous dossier/été.txt'; printf '#!/bin/sh' > {out}/run; chmod +x {out}/run; ln -s run {out}/link";
    let project = Project::new(
        &stage(outputs, run)
            .replace(r#"copy = "out/copy""#, r#"copy = { path = "out/copy", kind = "folder" }"#),
    );
    project.ok(&["run"]);
    assert_eq!(project.read("out/dossier/sous dossier/été.txt"), "b\na\nc\n");
    assert!(project.exists("out/dossier/sous dossier/vide"));
    assert_eq!(project.read("out/copy/link"), "#!/bin/sh");
    project.remove("out/dossier/run");
    assert_eq!(project.run(&[]).1["make"], "restored");
    let mode = fs::metadata(project.path("out/dossier/run")).expect("is there").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700);
    project.write("out/dossier/extra", "not ours");
    assert_eq!(project.run(&[]).1["make"], "restored");
    assert!(!project.exists("out/dossier/extra"));
}
