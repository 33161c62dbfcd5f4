//! From bytes to text: UTF-8, what a byte order mark says, what an option says; and what to do about anything else.

use std::path::Path;

use chardetng::EncodingDetector;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use stage_contract::StageError;

use crate::folder::quoted;

/// The text of a file: in the encoding that its byte order mark says, else UTF-8 where it has more than ASCII and is that, else
/// what `named` says, else UTF-8; and the name of the encoding. Copies nothing of what is UTF-8 without a mark.
///
/// # Errors
/// It is in another encoding: with the line and the way out. `named` is no encoding.
pub fn decode(
    bytes: Vec<u8>,
    path: &Path,
    named: Option<&str>,
) -> Result<(String, &'static str), StageError> {
    let (encoding, mark) = match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => (UTF_8, 3),
        // UTF-32 has no decoder here, and its mark begins as that of UTF-16.
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => (UTF_8, 0),
        [0xff, 0xfe, ..] => (UTF_16LE, 2),
        [0xfe, 0xff, ..] => (UTF_16BE, 2),
        _ => match named {
            // Of the files of a folder only some may be in another encoding; and hardly any of those is UTF-8 too.
            Some(name) if !is_certain(&bytes) => (known(name, path)?, 0),
            _ => (UTF_8, 0),
        },
    };
    if encoding == UTF_8 {
        return utf8(bytes, mark, path, named.is_none()).map(|text| (text, encoding.name()));
    }
    match encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..]) {
        Some(text) => Ok((text.into_owned(), encoding.name())),
        None => Err(StageError::new(format!("{}: not {}", path.display(), encoding.name()))
            .help(format!("set another encoding, if it is {0}: `encoding = \"{0}\"`", whatwg(&bytes)))),
    }
}

/// Whether bytes are UTF-8 beyond doubt.
fn is_certain(bytes: &[u8]) -> bool {
    !bytes.is_ascii() && !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

fn utf8(mut bytes: Vec<u8>, mark: usize, path: &Path, optional: bool) -> Result<String, StageError> {
    let help = |bytes: &[u8]| {
        let advice = advice(bytes, path);
        match option(bytes).filter(|_| optional) {
            Some(name) => format!("{advice}; or read it as it is, by the option `encoding = \"{name}\"`"),
            None => advice,
        }
    };
    // ASCII in UTF-16 is UTF-8 too.
    if mark == 0 && is_wide(&bytes) {
        return Err(StageError::new(format!("{}: not UTF-8", path.display())).help(help(&bytes)));
    }
    bytes.drain(..mark);
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].split(|&b| b == b'\n').count();
        StageError::new(format!("{}:{line}: not UTF-8", path.display())).help(help(error.as_bytes()))
    })
}

fn known(name: &str, path: &Path) -> Result<&'static Encoding, StageError> {
    Encoding::for_label(name.trim().as_bytes()).ok_or_else(|| {
        StageError::new(format!("{}: `{name}` is no encoding that is read", path.display())).help(
            "name it as the web does (encoding.spec.whatwg.org): `windows-1252`, `iso-8859-15`, `macintosh`, `utf-16le`, \
             `windows-1251`, `shift_jis`; convert others by `iconv`",
        )
    })
}

/// What to call the encoding of some bytes in the option that reads it.
fn whatwg(bytes: &[u8]) -> String {
    option(bytes).unwrap_or_else(|| "windows-1252".to_owned())
}

/// The option's value that reads some bytes, if there is one.
fn option(bytes: &[u8]) -> Option<String> {
    if !is_wide(bytes) && (bytes.contains(&0) || is_mostly_utf8(bytes)) {
        return None;
    }
    Encoding::for_label(guess(bytes).as_bytes()).map(|encoding| encoding.name().to_lowercase())
}

fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (sequences, strays) = count(bytes);
    sequences > strays
}

/// Encodings of one byte a character that French files have, by the name that iconv knows, with the bytes of
/// `éèêëàâçùûîïôœ’«»ÉÀÇ€` in each, and those that ISO-8859-15 has for other signs. Where bytes fit several equally, the first is meant.
const FRENCH: [(&str, &[u8]); 3] = [
    (
        "WINDOWS-1252",
        b"\xe9\xe8\xea\xeb\xe0\xe2\xe7\xf9\xfb\xee\xef\xf4\x9c\x92\xab\xbb\xc9\xc0\xc7\x80\xa4\xbc\xbd\xbe",
    ),
    ("CP850", b"\x82\x8a\x88\x89\x85\x83\x87\x97\x96\x8c\x8b\x93\xae\xaf\x90\xb7"),
    ("MACINTOSH", b"\x8e\x8f\x90\x91\x88\x89\x8d\x9d\x9e\x94\x95\x99\xcf\xd5\xc7\xc8\x83\xcb\x82\xdb"),
];

/// The way out for a file, of which `bytes` are not UTF-8.
#[must_use]
pub fn advice(bytes: &[u8], file: &Path) -> String {
    let (name, new) = (quoted(file), quoted(&file.with_added_extension("utf8")));
    if !is_wide(bytes) {
        if bytes.contains(&0) {
            return "it is no text: name a text file".to_owned();
        }
        if is_mostly_utf8(bytes) {
            return format!(
                "the rest is UTF-8: correct the lines that are not; `LC_ALL=C.UTF-8 grep -naxv '.*' {name}` lists them"
            );
        }
    }
    let from = guess(bytes);
    format!("convert it, if it is {from}: `iconv -f {from} -t UTF-8 {name} > {new} && mv {new} {name}`")
}

/// The way out for what comes through a pipe, of which `bytes` are a line.
#[must_use]
pub fn of_a_pipe(bytes: &[u8]) -> String {
    let from = guess(bytes);
    format!(
        "convert it on the way, if it is {from}: put `iconv -f {from} -t UTF-8 |` before `ner-pipe predict`"
    )
}

/// The encoding that bytes are most probably in, by the name that iconv knows.
fn guess(bytes: &[u8]) -> String {
    match family(bytes) {
        name if name == FRENCH[0].0 && is_latin9(bytes) => "ISO-8859-15".to_owned(),
        name => name,
    }
}

/// Whether what Windows-1252 has as `¤` and as fractions is the `€`, `Œ`, `œ` and `Ÿ` of ISO-8859-15.
fn is_latin9(bytes: &[u8]) -> bool {
    let ligature = |three: &[u8]| {
        matches!(three[1], 0xbc..=0xbe) && three[2].is_ascii_alphabetic() && !three[0].is_ascii_digit()
    };
    let controls = bytes.iter().any(|byte| (0x80..0xa0).contains(byte));
    let begins = bytes.len() > 1 && ligature(&[b' ', bytes[0], bytes[1]]);
    !controls && (bytes.contains(&0xa4) || begins || bytes.windows(3).any(ligature))
}

/// As [`guess`], with ISO-8859-15 as Windows-1252.
fn family(bytes: &[u8]) -> String {
    /// Of a few words no share says anything.
    const SHORT: usize = 12;
    if let Some(name) = wide(bytes) {
        return name.to_owned();
    }
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let fit = |known: &[u8]| bytes.iter().filter(|byte| !byte.is_ascii() && known.contains(byte)).count();
    let best = FRENCH.into_iter().rev().max_by_key(|(_, known)| fit(known));
    // What the detector, made for the web, does not know: DOS and old Macs. French is mostly of ASCII letters.
    if let Some((name, known)) = best
        && (high * 3 < bytes.len() || bytes.len() < SHORT)
        && fit(known) * 10 >= high * 9
    {
        return name.to_owned();
    }
    let mut detector = EncodingDetector::new();
    detector.feed(bytes, true);
    detector.guess(Some(b"fr"), false).name().to_uppercase()
}

/// Whether bytes are of an encoding that has more than one for every character.
#[must_use]
pub fn is_wide(bytes: &[u8]) -> bool {
    wide(bytes).is_some()
}

/// By the byte order mark, else by where the zeros are.
fn wide(bytes: &[u8]) -> Option<&'static str> {
    const LEAST: usize = 4;
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    if !bytes.contains(&0) {
        return None;
    }
    let zeros = |parity: usize| bytes.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // French text in UTF-16 has a zero in nearly every pair of bytes; a binary file has them anywhere.
    let enough = |many: usize, few: usize| bytes.len() >= LEAST && many * 3 > bytes.len() && few * 20 < many;
    if enough(odd, even) {
        Some("UTF-16LE")
    } else if enough(even, odd) {
        Some("UTF-16BE")
    } else {
        None
    }
}

/// How many characters above ASCII are UTF-8, and how many bytes are not.
fn count(bytes: &[u8]) -> (usize, usize) {
    bytes.utf8_chunks().fold((0, 0), |(sequences, strays), chunk| {
        let wide = chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        (sequences + wide, strays + chunk.invalid().len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_fits_what_the_bytes_are() {
        let file = Path::new("l'été.txt");
        for (bytes, way) in [
            (
                b"La s\x9cur, l\x92h\xf4pital : 45 \x80".as_slice(),
                "`iconv -f WINDOWS-1252 -t UTF-8 \"l'été.txt\" > \"l'été.txt.utf8\" && mv \"l'été.txt.utf8\" \"l'été.txt\"`",
            ),
            (b"\xff\xfeL\0a\0", "`iconv -f UTF-16 -t UTF-8"),
            (b"\xfe\xff\0L\0a", "`iconv -f UTF-16 -t UTF-8"),
            (b"\xff\xfe\0\0L\0\0\0", "`iconv -f UTF-32 -t UTF-8"),
            (b"L\0e\0 \0p\0\xe8\0r\0e\0", "`iconv -f UTF-16LE -t UTF-8"),
            (b"\0L\0e\0 \0p\0\xe8\0r\0e", "`iconv -f UTF-16BE -t UTF-8"),
            (b"PK\x03\x04\0\0\xff\x01\0\0\x02", "it is no text"),
            (b"op\x82r\x82 \x85 l'h\x93pital", "`iconv -f CP850 -t UTF-8"),
            (b"op\x8er\x8e \x88 l\xd5h\x99pital, tr\x8fs", "`iconv -f MACINTOSH -t UTF-8"),
            (b"\xe9t\xe9", "`iconv -f WINDOWS-1252 -t UTF-8"),
            (b"la s\xbdur a op\xe9r\xe9", "`iconv -f ISO-8859-15 -t UTF-8"),
            (b"\xbcuvre pay\xe9e 45 \xa4", "`iconv -f ISO-8859-15 -t UTF-8"),
            (b"1\xbdh apr\xe8s, \xbc de cachet ou \xbe", "`iconv -f WINDOWS-1252 -t UTF-8"),
            (b"la s\x9cur, 1\xbd cachet, 4 \x80", "`iconv -f WINDOWS-1252 -t UTF-8"),
            (
                b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0! \xca\xe0\xea \xe4\xe5\xeb\xe0?",
                "`iconv -f WINDOWS-1251 -t UTF-8",
            ),
            (b"\x93\xfa\x96{\x8c\xea\x82\xcc\x83e\x83L\x83X\x83g", "`iconv -f SHIFT_JIS -t UTF-8"),
            (b"l\xc3\xa9g\xc3\xa8re, caf\xe9", "the rest is UTF-8"),
        ] {
            let advice = advice(bytes, file);
            assert!(advice.contains(way), "{way}: {advice}");
        }
        assert!(
            of_a_pipe(b"\x8et\x8e").contains("`iconv -f MACINTOSH -t UTF-8 |`"),
            "{}",
            of_a_pipe(b"\x8et\x8e")
        );
        assert!(is_wide(b"a\0s\0c\0i\0i\0") && !is_wide(b"a\0scii and a zero in it"));
    }

    #[test]
    fn a_mark_or_an_option_says_the_encoding() {
        let path = Path::new("a.txt");
        let read = |bytes: &[u8], named| {
            decode(bytes.to_vec(), path, named).map(|(text, name)| format!("{name} {text}"))
        };
        let wide =
            |bytes: fn(u16) -> [u8; 2]| "\u{feff}été".encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        assert_eq!(read(&wide(u16::to_le_bytes), None).expect("LE"), "UTF-16LE été");
        assert_eq!(
            read(&wide(u16::to_be_bytes), Some("windows-1252")).expect("the mark wins"),
            "UTF-16BE été"
        );
        assert_eq!(read("\u{feff}été".as_bytes(), None).expect("UTF-8"), "UTF-8 été");
        assert_eq!(read(b"s\x9cur 45 \x80", Some("Windows-1252")).expect("1252"), "windows-1252 sœur 45 €");
        assert_eq!(read("sœur".as_bytes(), Some("windows-1252")).expect("it is"), "UTF-8 sœur");
        assert_eq!(read(b"\x8et\x8e", Some("macintosh")).expect("mac"), "macintosh été");
        for (bytes, named, help) in [
            (b"s\x9cur".as_slice(), None, "`encoding = \"windows-1252\"`"),
            (b"\xff\xfe\0\0L\0\0\0", None, "`iconv -f UTF-32"),
            (b"L\0e\0 \0p\0\xe8\0r\0e\0", None, "`encoding = \"utf-16le\"`"),
            (b"la s\xbdur a op\xe9r\xe9", None, "`encoding = \"iso-8859-15\"`"),
            (b"x", Some("latin-9"), "name it as the web does"),
            (b"\x82", Some("shift_jis"), "set another encoding"),
        ] {
            let error = decode(bytes.to_vec(), path, named).expect_err(help);
            assert!(
                error.advice().is_some_and(|advice| advice.contains(help)),
                "{help}: {:?}",
                error.advice()
            );
        }
        // What the option could not read is not advised.
        let error = decode(b"l\xc3\xa9g\xc3\xa8re, caf\xe9".to_vec(), path, None).expect_err("mixed");
        assert!(error.advice().is_some_and(|advice| !advice.contains("encoding =")), "{:?}", error.advice());
    }
}
