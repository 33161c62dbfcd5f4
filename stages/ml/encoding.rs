//! What to do about a file that is not UTF-8.

use std::path::Path;

use crate::ml::folder::quoted;

/// What of a file is no UTF-8, and the way out of it. `bytes` are those of the file or of one of its lines.
#[must_use]
pub fn advice(bytes: &[u8], file: &Path) -> String {
    let (name, new) = (quoted(file), quoted(&file.with_added_extension("utf8")));
    let convert = |from: &str| format!("`iconv -f {from} -t UTF-8 {name} > {new} && mv {new} {name}`");
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return format!("it is UTF-16; convert it: {}", convert("UTF-16"));
    }
    if bytes.contains(&0) {
        return "it is no text: name a text file".to_owned();
    }
    let (sequences, strays) = count(bytes);
    if sequences > strays {
        return format!(
            "the rest is UTF-8: correct the lines that are not; `LC_ALL=C.UTF-8 grep -naxv '.*' {name}` lists them"
        );
    }
    // What Windows-1252 leaves undefined is of DOS or of a Macintosh.
    if bytes.iter().any(|byte| matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d)) {
        return format!(
            "it is neither UTF-8 nor Windows-1252: find out what it is (CP850 and MACINTOSH are old habits), and convert \
             it: {}",
            convert("CP850")
        );
    }
    format!("convert it from Windows-1252, which French text mostly is: {}", convert("WINDOWS-1252"))
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
            (b"PK\x03\x04\0\0\xff", "it is no text"),
            (b"h\x93pital \x90t\x82", "CP850"),
            ("été, à l’hôpital, c\u{e9}l\u{e9}bre; caf\u{e9}".as_bytes(), "the rest is UTF-8"),
        ] {
            let mut bytes = bytes.to_vec();
            if way == "the rest is UTF-8" {
                bytes.push(0xe9);
            }
            let advice = advice(&bytes, file);
            assert!(advice.contains(way), "{way}: {advice}");
        }
    }
}
