//! What to do about a file that is not UTF-8.

use std::path::Path;

use crate::folder::quoted;

/// Encodings of one byte a character that French files have, by the name that iconv knows, with the bytes of
/// `éèêëàâçùûîïôœ’«»ÉÀÇ€` in each. Where bytes fit several equally, the first is meant.
const FRENCH: [(&str, &[u8]); 3] = [
    ("WINDOWS-1252", b"\xe9\xe8\xea\xeb\xe0\xe2\xe7\xf9\xfb\xee\xef\xf4\x9c\x92\xab\xbb\xc9\xc0\xc7\x80"),
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
        let (sequences, strays) = count(bytes);
        if sequences > strays {
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

/// The encoding that bytes are most probably in.
fn guess(bytes: &[u8]) -> &'static str {
    if let Some(name) = wide(bytes) {
        return name;
    }
    let fit = |known: &[u8]| bytes.iter().filter(|byte| known.contains(byte)).count();
    let best = FRENCH.into_iter().rev().max_by_key(|(_, known)| fit(known));
    best.map_or(FRENCH[0].0, |(name, _)| name)
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
}
