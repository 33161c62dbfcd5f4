//! Disks that are full or cannot be written. What follows each write that fails is in `tests/failpoints.rs`.

use crate::project::{Project, TWO};

/// Shows how each run ended, and what it said.
const RUN: &str = r#"
ner_pipe() { code=0; "$NER_PIPE" "$@" > said 2>&1 || code=$?; echo "$code"; cat said; }
"#;

/// What a run is to end with, and what it is to say.
fn expect(said: &str, wanted: &[(&str, &str)]) {
    let ends: Vec<_> = said.split("-- ").skip(1).collect();
    assert_eq!(ends.len(), wanted.len(), "{said}");
    for (end, (name, text)) in ends.iter().zip(wanted) {
        assert!(end.starts_with(name) && end.contains(text), "{name}: {text}\n{said}");
    }
}

#[test]
fn a_cache_that_is_full_records_nothing_cut_and_goes_on_when_there_is_room() {
    // A program that does not look whether its writes succeed, while the disk becomes full: to the last byte,
    // or nearly so.
    for (left, said) in
        [(8, "No space left on device"), (600, "the disk is full: what the stage wrote may be cut")]
    {
        let full = format!(
            "head -c 200000 /dev/zero > {{out}}; mount -o remount,size=$(($(du -sk cache | cut -f1) + {left}))k cache; \
             head -c 500000 /dev/zero >> {{out}} 2>/dev/null; true"
        );
        let run = format!("test -e calm && sort {{data}} > {{out}} || ({full})");
        let project = Project::new(&TWO.replace("sort {data} > {out}", &run));
        let script = format!(
            r"{RUN}
mkdir cache
mount -t tmpfs -o size=1g tmpfs cache
echo '-- full'; ner_pipe run
ls out pipeline.lock 2>/dev/null && exit 1
mount -o remount,size=1g cache
touch calm
echo '-- room'; ner_pipe run
echo '-- tmp' $(ls cache/tmp | wc -l)
rm -r out
echo '-- again'; ner_pipe run
cat out/sorted.txt"
        );
        let Some(ended) = project.privately(&script) else { return };
        expect(
            &ended,
            &[
                ("full\n1\n", said),
                ("room\n0\n", "2 stages: 2 executed"),
                ("tmp 0\n", ""),
                ("again\n0\n", "2 stages: 2 restored"),
            ],
        );
        assert!(ended.ends_with("a\nb\nc\n"), "{ended}");
    }
}

#[test]
fn no_size_of_a_full_cache_lets_something_cut_be_taken_for_whole() {
    // From no room at all to enough for the first stage, at each step of its path.
    let project =
        Project::new(&TWO.replace("sort {data} > {out}", "sh tight.sh; head -c 20000 /dev/zero > {out}"));
    project.write(
        "tight.sh",
        "test ! -e tight || mount -o remount,size=$(($(du -sk cache | cut -f1) + $(cat tight)))k cache\n",
    );
    let script = format!(
        r#"{RUN}
mkdir cache
mount -t tmpfs -o size=1g tmpfs cache
for free in 0 4 8 16 24 28 32 36 40 64 ; do
    echo $free > tight
    ner_pipe run > end
    test "$(head -n1 end)" = 1 || (cat end; exit 1)
    test ! -e out || exit 1
    mount -o remount,size=1g cache
    "$NER_PIPE" status > said || exit 1
done
rm tight
echo '-- room'; ner_pipe run
wc -c < out/sorted.txt"#
    );
    let Some(said) = project.privately(&script) else { return };
    expect(&said, &[("room\n0\n", "2 stages: 2 executed")]);
    assert!(said.ends_with("20000\n"), "{said}");
}

#[test]
fn a_full_disk_of_artifacts_loses_no_work() {
    let project = Project::new(&TWO.replace("sort {data} > {out}", "head -c 100000 /dev/zero > {out}"));
    let script = format!(
        r"{RUN}
mkdir out
mount -t tmpfs -o size=8k tmpfs out
echo '-- full'; ner_pipe run
ls -A out | sed 's/^/left: /'
mount -o remount,size=1g out
echo '-- room'; ner_pipe run
wc -c < out/sorted.txt"
    );
    let Some(said) = project.privately(&script) else { return };
    expect(
        &said,
        &[("full\n1\n", "No space left on device"), ("room\n0\n", "2 stages: 1 executed, 1 restored")],
    );
    assert!(said.contains("help: free some space on its disk") && !said.contains("left: "), "{said}");
    assert!(said.ends_with("100000\n"), "{said}");
    assert_eq!(project.trace(), ["sort", "count"]);
}

#[test]
fn a_cache_that_cannot_be_written_serves_what_is_fresh_and_says_what_it_needs() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    // What a killed run may leave, and cannot be swept now; and folders that came without their contents.
    project.write(&format!("cache/tmp/{}.dead/log.txt", "ab".repeat(32)), "");
    let script = format!(
        r"{RUN}
mount --bind cache cache
mount -o remount,bind,ro cache
echo '-- status'; ner_pipe status --check
echo '-- fresh'; ner_pipe run
echo '-- log'; ner_pipe log sort
echo changed > data/in.txt
echo '-- changed'; ner_pipe run
echo '-- says'; ner_pipe status
rm out/sorted.txt; printf 'b\na\nc\n' > data/in.txt
echo '-- gone'; ner_pipe run
umount cache
rmdir cache/locks 2>/dev/null || rm -r cache/locks; rm -r cache/tmp
mount --bind cache cache; mount -o remount,bind,ro cache
cp cache/entries/*/out/out/sorted.txt out/
echo '-- bare'; ner_pipe run
umount cache
echo '-- writable'; ner_pipe run"
    );
    let Some(said) = project.privately(&script) else { return };
    expect(
        &said,
        &[
            ("status\n0\n", "fresh"),
            ("fresh\n0\n", "2 stages: 2 reused"),
            ("log\n0\n", "$ echo sort"),
            ("changed\n1\n", "Read-only file system"),
            ("says\n0\n", "stale"),
            ("gone\n1\n", "help: make its disk writable"),
            ("bare\n0\n", "2 stages: 2 reused"),
            ("writable\n0\n", "2 stages: 2 reused"),
        ],
    );
}

#[test]
fn a_project_that_cannot_be_written_at_all_serves_what_is_fresh() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let script = r#"
mount --bind . .
mount -o remount,bind,ro .
cd "$PWD"
"$NER_PIPE" status --check && "$NER_PIPE" run
"#;
    let Some(said) = project.privately(script) else { return };
    assert!(said.contains("2 stages: 2 reused"), "{said}");
}
