use std::sync::Arc;

use parquet::{
    basic::{Compression, GzipLevel, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};

use super::*;
use crate::corpus::item::{Content, Item};

const LISTS: &str = "message schema {
  optional group tokens (LIST) { repeated group list { optional binary element (UTF8); } }
  optional group ner_tags (LIST) { repeated group list { optional int64 element; } }
}";

/// A data set of two sentences, as `datasets` lays it out.
fn lists(compression: Compression) -> Vec<u8> {
    of_schema(LISTS, compression)
}

fn writer(schema: &str, compression: Compression) -> SerializedFileWriter<Vec<u8>> {
    let names = r#"{"info": {"features": {"ner_tags": {"feature": {"names": ["O", "B-ORG", "I-ORG"], "_type": "ClassLabel"}}}}}"#;
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_owned(), names.to_owned())]))
        .build();
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("begun")
}

fn of_schema(schema: &str, compression: Compression) -> Vec<u8> {
    let mut writer = writer(schema, compression);
    let mut group = writer.next_row_group().expect("a group");
    // Three words, then one: a repetition of 0 begins a row.
    let (defined, repeated) = ([3, 3, 3, 3], [0, 1, 1, 0]);
    let words = ["Le", "Club", "Nord", "Rien"].map(|word| ByteArray::from(word.as_bytes().to_vec()));
    let mut column = group.next_column().expect("a column").expect("tokens");
    column.typed::<ByteArrayType>().write_batch(&words, Some(&defined), Some(&repeated)).expect("written");
    column.close().expect("closed");
    let mut column = group.next_column().expect("a column").expect("tags");
    column.typed::<Int64Type>().write_batch(&[0, 1, 2, 0], Some(&defined), Some(&repeated)).expect("written");
    column.close().expect("closed");
    group.close().expect("closed");
    writer.into_inner().expect("whole")
}

fn read(bytes: Vec<u8>, want: Want) -> Vec<Item> {
    let file = File { path: "a.parquet".into(), bytes: Some(bytes.into()), ..File::default() };
    assert!(Parquet.sniff(&file, want, &Options::default()));
    let found = Parquet.read(&file, want, &Options::default()).expect("read");
    assert_eq!(found.bad, []);
    found.items
}

#[test]
fn words_and_tags_come_from_every_compression() {
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let items = read(lists(compression), Want::Gold);
        let [one, two] = items.as_slice() else { panic!("two sentences: {items:?}") };
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let tagged =
            |words, tags| Content::Tagged { words: owned(words), tags: owned(tags), places: Vec::new() };
        assert_eq!(one.content, tagged(&["Le", "Club", "Nord"], &["O", "B-ORG", "I-ORG"]));
        assert_eq!(two.content, tagged(&["Rien"], &["O"]));
        assert_eq!(two.place, Place::Record(2));
    }
    let texts = read(lists(Compression::SNAPPY), Want::Text);
    assert_eq!(texts[0].content, Content::Text("Le Club Nord".into()));
}

#[test]
fn words_that_the_schema_calls_bytes_are_words() {
    let bytes = of_schema(&LISTS.replace(" (UTF8)", ""), Compression::SNAPPY);
    assert_eq!(read(bytes, Want::Text)[0].content, Content::Text("Le Club Nord".into()));
}

#[test]
fn a_word_a_row_is_read_in_sentences_by_their_numbers() {
    let schema = "message schema {
      optional int64 sentence_id; optional binary word (UTF8); optional int64 ner_tags;
    }";
    let mut writer = writer(schema, Compression::SNAPPY);
    let mut group = writer.next_row_group().expect("a group");
    let numbers = |group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[i64]| {
        let mut column = group.next_column().expect("a column").expect("numbers");
        let defined = vec![1; values.len()];
        column.typed::<Int64Type>().write_batch(values, Some(&defined), None).expect("written");
        column.close().expect("closed");
    };
    numbers(&mut group, &[4, 4, 4, 5]);
    let words = ["Le", "Club", "Nord", "Rien"].map(|word| ByteArray::from(word.as_bytes().to_vec()));
    let mut column = group.next_column().expect("a column").expect("words");
    column.typed::<ByteArrayType>().write_batch(&words, Some(&[1; 4]), None).expect("written");
    column.close().expect("closed");
    numbers(&mut group, &[0, 1, 2, 0]);
    group.close().expect("closed");
    let bytes = writer.into_inner().expect("whole");
    let items = read(bytes.clone(), Want::Gold);
    let [one, two] = items.as_slice() else { panic!("two sentences: {items:?}") };
    let Content::Tagged { words, tags, places } = &one.content else { panic!("words and tags") };
    assert_eq!((words.join(" "), tags.join(" ")), ("Le Club Nord".into(), "O B-ORG I-ORG".into()));
    assert_eq!((places.as_slice(), two.place), (&[1, 2, 3].map(Place::Record)[..], Place::Record(4)));
    let texts = read(bytes, Want::Text);
    assert_eq!(texts[0].content, Content::Text("Le Club Nord".into()));
}

#[test]
fn a_file_that_was_cut_is_refused() {
    let mut bytes = lists(Compression::SNAPPY);
    let end = bytes.split_off(bytes.len() - 8);
    bytes.truncate(bytes.len() / 2);
    let file =
        File { path: "a.parquet".into(), bytes: Some([bytes, end].concat().into()), ..File::default() };
    let error = Parquet.read(&file, Want::Gold, &Options::default()).expect_err("cut");
    assert!(error.to_string().contains("a.parquet") && error.advice().is_some(), "{error}");
}
