//! Which sentences are of one document.

use super::*;

#[test]
fn documents_of_one_name_in_two_files_are_two() {
    let folder = folder(&[
        ("train/1.txt", "Anne dort."),
        ("train/1.ann", "T1\tPER 0 4\tAnne\n"),
        ("train/train/1.txt", "Luc dort."),
        ("train/train/1.ann", "T1\tPER 0 3\tLuc\n"),
        ("train/a/x/1.txt", "Eve dort."),
        ("train/a/x/1.ann", "T1\tPER 0 3\tEve\n"),
        ("train/b/x/1.txt", "Guy dort."),
        ("train/b/x/1.ann", "T1\tPER 0 3\tGuy\n"),
        ("train/c.conll", "# newdoc id = 1\nAnne B-PER\ndort O\n"),
        ("train/d.conll", "# newdoc id = 1\nAnne B-PER\ndort O\n"),
    ]);
    let read = Gold::load(&folder.path().join("train")).expect("read");
    let records: Vec<_> = read.sets.iter().flat_map(|set| &set.records).collect();
    let groups: std::collections::BTreeSet<_> = records.iter().map(|record| record.group.as_str()).collect();
    assert_eq!((records.len(), groups.len()), (6, 6), "{groups:?}");
    let sets: Vec<_> = read.sets.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(sets, ["train", "a-x", "b-x", "c", "d"]);
}

#[test]
fn brats_pairs_of_a_folder_are_one_set_of_documents() {
    let folder = folder(&[
        ("dossiers/a.txt", "Anne Roy dort.\nÀ Brest\n\nil pleut.\n"),
        (
            "dossiers/a.ann",
            "T1\tPER 0 8\tAnne Roy\nR1\tLives Arg1:T1 Arg2:T2\nT2\tLOC 17 22\tBrest\n#1\tNote T1\tx\n",
        ),
        ("dossiers/b.txt", "Le centre\nde Brest ferme."),
        ("dossiers/b.ann", "T1\tORG 0 9;10 18\tLe centre de Brest\n"),
        ("dossiers/c.txt", "Rien."),
        ("dossiers/c.ann", ""),
        ("dossiers/d.txt", "Personne n’a lu cela."),
        ("dossiers/e.txt", "Anne B-PER\ndort O\n"),
        ("dossiers/annotation.conf", "[entities]\nPER"),
    ]);
    let read = Gold::read(&folder.path().join("dossiers"), &Options::default()).expect("read");
    let [set, columns] = read.value.sets.as_slice() else { panic!("two sets") };
    assert_eq!((set.name.as_str(), columns.name.as_str()), ("dossiers", "e"));
    assert_eq!(
        shown(&read.value),
        "[Anne Roy]PER dort . | À [Brest]LOC | il pleut . | [Le centre de Brest]ORG ferme . | Rien . | [Anne]PER dort"
    );
    let groups: Vec<_> = set.records.iter().map(|record| record.group.as_str()).collect();
    assert_eq!(groups, ["dossiers/a", "dossiers/a", "dossiers/a", "dossiers/b", "dossiers/c"]);
    assert!(read.notes.iter().any(|note| note.contains("d.txt: left out, no .ann")), "{:?}", read.notes);
    let alone = Gold::load(&folder.path().join("dossiers/b.ann")).expect_err("its text is not declared");
    assert!(
        alone.to_string().contains("b.ann: the text that it annotates is not in what was given"),
        "{alone}"
    );
    fs::create_dir(folder.path().join("windows")).expect("made");
    fs::write(folder.path().join("windows/B.TXT"), "Le centre\r\nde Brest ferme.\r\nAnne vient.")
        .expect("written");
    fs::write(folder.path().join("windows/B.ANN"), "T1\tPER 28 32\tAnne\nT2\tLOC 14 19\tBrest\n")
        .expect("written");
    let read = Gold::load(&folder.path().join("windows")).expect("from Windows");
    assert_eq!(shown(&read), "Le centre | de [Brest]LOC ferme . | [Anne]PER vient .");
    fs::write(folder.path().join("dossiers/b.ann"), "T1\tORG 0 9\tLe musée\nT2 LOC\n").expect("written");
    let error = Gold::load(&folder.path().join("dossiers")).expect_err("bad").to_string();
    assert!(
        error.contains("b.ann:1: its text is not")
            && error.contains("b.ann:2: no `T1")
            && !error.contains("musée"),
        "{error}"
    );
}
