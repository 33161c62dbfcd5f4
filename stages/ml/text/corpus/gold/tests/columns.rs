//! Which column of several is read.

use super::*;

#[test]
fn columns_that_begin_with_a_bracket_are_columns() {
    for first in [
        "[ O",
        "{ O",
        "[\tO",
        "{\tO",
        "[ [ PUN O",
        "{ { PUN O",
        "[\t[\tPUN\tO",
        "[ { PUN O",
        "[ ( PUN O",
        "{ \" PUN O",
        "[ ] PUN O",
    ] {
        let mark = first.trim_end_matches('O');
        let rest = &mark[1..];
        let middle = rest.replace(['[', '{', '(', '"', ']'], "x");
        let content =
            format!("{first}\nAnne{middle}B-PER\nRoy{middle}I-PER\n]{rest}O\n\nBrest{middle}B-LOC\n");
        let word = &first[..1];
        assert_eq!(gold("a.conll", &content), format!("{word} [Anne Roy]PER ] | [Brest]LOC"), "{content}");
        let text = read_text("a.conll", &content);
        assert_eq!(text, [format!("{word} Anne Roy ]"), "Brest".to_owned()], "{content}");
    }
    // JSON that is broken is told as JSON.
    let broken = refused("a.json", "[\n  {\"tokens\": [\"Anne\"],\n   \"ner_tags\": [\"O\"]\n");
    assert!(broken.contains("JSON"), "{broken}");
}

#[test]
fn of_several_columns_of_types_the_first_is_read_and_said_and_another_can_be_said() {
    let coarse = "[Anne]PER va à [Brest]LOC et dort";
    let fine = "[Anne]PERSONNE.FEMME va à [Brest]LIEU.VILLE et dort";
    for (content, form) in [
        (
            "Anne\tPER\tPERSONNE.FEMME\nva\tO\tO\nà\tO\tO\nBrest\tLOC\tLIEU.VILLE\net\tO\tO\ndort\tO\tO",
            "3 columns, word 1, tag 2, the first of 2 columns of types",
        ),
        (
            "Anne NP PER PERSONNE.FEMME\nva VP O O\nà PP O O\nBrest NP LOC LIEU.VILLE\net O O O\ndort VP O O",
            "4 columns, word 1, tag 3, the first of 2 columns of types",
        ),
        (
            "Anne|PER|PERSONNE.FEMME va|O|O à|O|O Brest|LOC|LIEU.VILLE et|O|O dort|O|O",
            "word 1, tag 2, the first of 2 columns of types",
        ),
    ] {
        assert_eq!(gold("a.tsv", content), coarse, "{content}");
        assert!(notes("a.tsv", content).contains(form), "{form}: {}", notes("a.tsv", content));
        let said = Options { columns: Some(Columns { word: 1, tag: -1 }), ..Options::default() };
        assert_eq!(shown(&read_with("a.tsv", content, &said).expect("said").value), fine, "{content}");
    }
}

#[test]
fn columns_of_hipe_are_read_by_their_layers_documents_and_ends_of_sentences() {
    let head = "TOKEN\tNE-COARSE-LIT\tNE-COARSE-METO\tNE-FINE-LIT\tNE-NESTED\tNEL-LIT\tMISC\n";
    let document = |id: &str| {
        format!(
            "# hipe2022:document_id = {id}\n# hipe2022:language = fr\n# hipe2022:applicable_columns = TOKEN NE-COARSE-LIT\n"
        )
    };
    let rows = |end: &str| {
        format!(
            "Anne\tB-pers\tO\tB-pers.ind\tO\tQ1\tNoSpaceAfter\n.\tO\tO\tO\tO\t_\tEndOfLine|{end}\nÀ\tO\tO\tO\tO\t_\t_\n\
             MM\tB-pers\tO\tO\tO\t_\t_\n.\tI-pers\tO\tO\tO\t_\t{end}\nRoy\tI-pers\tO\tO\tO\t_\t_\nvit\t_\t_\t_\t_\t_\t{end}\n"
        )
    };
    for (end, between) in [("EndOfSentence", "\n"), ("EndOfSentence", ""), ("PySBDSegment", "\n")] {
        let content = [head, &document("d-1"), &rows(end), between, &document("d-2"), &rows(end)].concat();
        let one = "[Anne]pers . | À [MM . Roy]pers vit";
        let read = read_with("a.tsv", &content, &Options::default()).expect("read");
        assert_eq!(shown(&read.value), format!("{one} | {one}"), "{content}");
        let groups: Vec<_> = read.value.sets[0].records.iter().map(|record| record.group.as_str()).collect();
        assert_eq!(groups, ["a/d-1", "a/d-1", "a/d-2", "a/d-2"]);
        let said = read.notes.join("\n");
        assert!(
            said.contains(&format!("tag 2, by the first line, sentences by `{end}` in column 7")),
            "{said}"
        );
        assert!(said.contains("2 ends of sentences lie inside of entities"), "{said}");
    }
    let bare = [head, "# document_id = d\nAnne\tB-pers\tO\tO\tO\tQ1\t_\nva\t_\tO\tO\tO\t_\t_\n"].concat();
    assert_eq!(gold("a.tsv", &bare), "[Anne]pers va");
    let fine = [head, "Anne\t_\t_\tB-pers.ind\tO\tQ1\t_\nva\t_\t_\tO\tO\t_\t_\n"].concat();
    assert_eq!(gold("a.tsv", &fine), "[Anne]pers.ind va", "the first layer that is annotated");
}
