//! From what lies on disk to the bytes that were meant: decompressed; and the names of what is no text.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use stage_contract::StageError;

use crate::folder::quoted;

/// Decompresses what gzip or zstd made, also twice.
///
/// # Errors
/// It ends too early, or is damaged.
pub(super) fn unpack(mut bytes: Vec<u8>, path: &Path) -> Result<Vec<u8>, StageError> {
    for _ in 0..2 {
        bytes = match bytes.as_slice() {
            [0x1f, 0x8b, ..] => all(MultiGzDecoder::new(bytes.as_slice()), path)?,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let reader = zstd::Decoder::new(bytes.as_slice()).map_err(|e| damaged(path, e))?;
                all(reader, path)?
            }
            _ => break,
        };
    }
    Ok(bytes)
}

/// Reads a file piece by piece, decompressed where gzip or zstd made it.
///
/// # Errors
/// It cannot be opened.
pub(super) fn reader(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::new(File::open(path)?);
    Ok(match file.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    })
}

fn all(mut reader: impl Read, path: &Path) -> Result<Vec<u8>, StageError> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|e| damaged(path, e))?;
    Ok(bytes)
}

fn damaged(path: &Path, error: io::Error) -> StageError {
    StageError::because(format!("cannot decompress {}", path.display()), error)
        .help("copy or download it again: it is damaged, or ends too early")
}

/// What a kind of file begins with, what it is, and what to do; `FILE` stands for its path.
const KNOWN: [(&[u8], &str, &str); 19] = [
    (b"%PDF-", "a PDF document", "`pdftotext -layout FILE`"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Office document",
        "`soffice --headless --convert-to txt:Text FILE`",
    ),
    (b"{\\rtf", "an RTF document", "`soffice --headless --convert-to txt:Text FILE`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "`7z x FILE`"),
    (b"Rar!", "a RAR archive", "`unrar x FILE`"),
    (b"BZh", "compressed by bzip2", "`bunzip2 FILE`"),
    (b"\xfd7zXZ\0", "compressed by xz", "`unxz FILE`"),
    (b"ARROW1", "an Arrow file", ARROW),
    (b"\xff\xff\xff\xff", "an Arrow stream", ARROW),
    (b"Obj\x01", "an Avro file", "convert it to JSONL"),
    (b"ORC", "an ORC file", "convert it to Parquet"),
    (b"\x89HDF", "an HDF5 file", "convert it to JSONL"),
    (b"\x93NUMPY", "a NumPy array", "convert it to JSONL"),
    (
        b"SQLite format 3\0",
        "an SQLite database",
        "export the table: `sqlite3 -csv -header FILE \"select .. from ..\" > FILE.csv`",
    ),
    (b"\x89PNG", "a picture", "run OCR on it first"),
    (b"\xff\xd8\xff", "a picture", "run OCR on it first"),
    (b"GIF8", "a picture", "run OCR on it first"),
    (b"\x7fELF", "a program", "name a file of text"),
    (b"PAR1", "a damaged Parquet file", "copy or download it again"),
];

const ARROW: &str = "`python3 -c 'import datasets, sys; datasets.Dataset.from_file(sys.argv[1]).to_json(sys.argv[2])' FILE FILE.jsonl`";

/// Refuses a file that holds no text, by what it is.
///
/// # Errors
/// It is a document, an archive, a database, a pickle, a picture or a program.
pub(super) fn check(bytes: &[u8], path: &Path) -> Result<(), StageError> {
    let found = KNOWN.iter().find(|(magic, ..)| bytes.starts_with(magic) && !is_words(magic, bytes));
    let (what, way) = if let Some((_, what, way)) = found {
        (*what, (*way).to_owned())
    } else if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        archive(bytes)
    } else if let [0x80, 2..=5, ..] = bytes
        && bytes.ends_with(b".")
    {
        (
            "a Python pickle",
            "write it as JSONL where it was made: `json.dumps` of each record, one a line".to_owned(),
        )
    } else if bytes.get(257..262) == Some(b"ustar") {
        ("a tar archive", "`tar -xf FILE`".to_owned())
    } else if let [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] = bytes
        && path.extension().is_some_and(|end| end == "spacy")
    {
        let way = "`python3 -c 'import spacy, json, sys; from spacy.tokens import DocBin; nlp = spacy.blank(\"fr\"); \
                   [print(json.dumps(d.to_json(), ensure_ascii=False)) for d in DocBin().from_disk(sys.argv[1]).get_docs(nlp.vocab)]' \
                   FILE > FILE.jsonl`";
        ("a spaCy DocBin", way.to_owned())
    } else {
        return Ok(());
    };
    let way = way.replace("FILE.", &format!("{}.", path.display())).replace("FILE", &quoted(path));
    let help = format!("turn {} into text first, and move it out of the folder: {way}", quoted(path));
    Err(StageError::new(format!("{} is {what} and no text", path.display())).help(help))
}

/// Marks of letters alone may begin a text; what they are of has bytes of no text soon after.
fn is_words(magic: &[u8], bytes: &[u8]) -> bool {
    let letters = magic.iter().all(u8::is_ascii_alphanumeric);
    let head = &bytes[..bytes.len().min(512)];
    letters
        && !head.contains(&0)
        && head.utf8_chunks().all(|chunk| chunk.invalid().len() <= 1)
        && String::from_utf8_lossy(head).chars().filter(|c| *c == '\u{fffd}').count() <= 1
}

fn archive(bytes: &[u8]) -> (&'static str, String) {
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    if has(b"word/document.xml") {
        ("a Word document", "`soffice --headless --convert-to txt:Text FILE`".to_owned())
    } else if has(b"xl/workbook.xml") {
        ("an Excel workbook", "`soffice --headless --convert-to csv FILE`".to_owned())
    } else if has(b"opendocument") {
        ("an OpenDocument file", "`soffice --headless --convert-to txt:Text FILE`".to_owned())
    } else {
        ("a zip archive", "`unzip FILE -d FOLDER`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn gzip_and_zstd_come_back_also_in_several_members() {
        let gz = |text: &str| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(text.as_bytes()).expect("packed");
            out.finish().expect("packed")
        };
        let path = Path::new("a.gz");
        assert_eq!(unpack([gz("un "), gz("deux")].concat(), path).expect("gzip"), b"un deux");
        let zst = |text: &[u8]| zstd::encode_all(text, 1).expect("packed");
        assert_eq!(unpack([zst(b"un "), zst(b"deux")].concat(), path).expect("zstd"), b"un deux");
        assert_eq!(unpack(zst(&gz("deux fois")), path).expect("both"), b"deux fois");
        assert_eq!(unpack(b"plain".to_vec(), path).expect("neither"), b"plain");
        for mut cut in [gz("un texte assez long"), zst(b"un texte assez long")] {
            cut.truncate(cut.len() - 6);
            let error = unpack(cut, path).expect_err("cut");
            assert!(
                error.to_string().contains("cannot decompress a.gz") && error.advice().is_some(),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_text_is_called_by_its_name() {
        let path = Path::new("dossier/a.bin");
        for (bytes, what) in [
            (b"%PDF-1.7\n\xe2\xe3".as_slice(), "a PDF document"),
            (b"PK\x03\x04..word/document.xml..", "a Word document"),
            (b"PK\x03\x04..xl/workbook.xml..", "an Excel workbook"),
            (b"PK\x03\x04..mimetypeapplication/vnd.oasis.opendocument.text", "an OpenDocument file"),
            (b"PK\x03\x04..a.txt", "a zip archive"),
            (b"\x80\x04\x95\x01\0\0]\x94.", "a Python pickle"),
            (b"ARROW1\0\0\xff\xff", "an Arrow file"),
            (b"BZh91AY&SY\xff\x01\xfe\0", "compressed by bzip2"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
        ] {
            let error = check(bytes, path).expect_err(what);
            assert_eq!(error.to_string(), format!("dossier/a.bin is {what} and no text"));
            assert!(
                error.advice().is_some_and(|help| help.contains("dossier/a.bin")),
                "{:?}",
                error.advice()
            );
        }
        for text in ["ORCHESTRE de Lyon", "GIF8 est un mot", "PAR1S", "BZh", "", "x"] {
            check(text.as_bytes(), path).expect(text);
        }
    }
}
