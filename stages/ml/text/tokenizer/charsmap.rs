//! Whether a `SentencePiece` model's normalisation is whole: a double-array trie of UTF-8 bytes and the texts that its
//! values point to (sentencepiece's `normalizer.cc`, Darts-clone's `darts.h`). The library that applies it looks up
//! positions without asking whether they exist, and so would panic at the first text that reaches a damaged one.

use std::collections::VecDeque;

/// The most bytes that one byte becomes: U+FDFA, of three, becomes 33 (NFKC).
pub(super) const GROWTH: usize = 11;

/// # Errors
/// What is damaged.
pub(super) fn check(charsmap: &[u8]) -> Result<(), &'static str> {
    let (size, rest) = charsmap.split_first_chunk::<4>().ok_or("it ends early")?;
    let size = u32::from_le_bytes(*size) as usize;
    if !size.is_multiple_of(4) {
        return Err("its trie ends within a unit");
    }
    let (trie, texts) = rest.split_at_checked(size).ok_or("it ends early")?;
    let units: Vec<u32> =
        trie.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]])).collect();
    let texts = std::str::from_utf8(texts).map_err(|_| "its texts are not UTF-8")?;
    let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
    let mut seen = vec![false; units.len()];
    // The shortest way to a unit comes first: so many bytes at least the library has read there.
    let mut open = VecDeque::from([(offset(*units.first().ok_or("it is empty")?), 1)]);
    while let Some((base, length)) = open.pop_front() {
        for byte in 1..=255_u32 {
            let at = base ^ byte as usize;
            // Any byte may follow in a text, and its place is looked up before its label.
            let unit = *units.get(at).ok_or("its trie leads out of itself")?;
            if unit & ((1 << 31) | 0xFF) != byte || seen[at] {
                continue;
            }
            seen[at] = true;
            let next = at ^ offset(unit);
            if unit & (1 << 8) != 0 {
                let value = *units.get(next).ok_or("its trie leads out of itself")? & !(1 << 31);
                let text = texts.get(value as usize..).ok_or("its trie points to no text")?;
                let most = GROWTH * length;
                if text.len() > most && !text.as_bytes()[..=most].contains(&0) {
                    return Err("it multiplies texts");
                }
            }
            open.push_back((next, length + 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trie in which `a` becomes the text at `value`.
    fn charsmap(value: u32, units: usize, texts: &[u8]) -> Vec<u8> {
        let mut trie = vec![0_u32; units];
        // The root's children lie at 0 ^ byte; those of `a` (0x61) at 0xE1 ^ byte, its value at 0xE1.
        trie[0x61] = 0x61 | (1 << 8) | (0x80 << 10);
        trie[0xE1] = value | (1 << 31);
        let bytes = trie.iter().flat_map(|unit| unit.to_le_bytes());
        let size = u32::try_from(units * 4).expect("small").to_le_bytes();
        size.into_iter().chain(bytes).chain(texts.iter().copied()).collect()
    }

    #[test]
    fn a_whole_trie_is_taken_and_any_damage_found() {
        let texts = "é\0x\0".as_bytes();
        assert_eq!(check(&charsmap(0, 256, texts)), Ok(()));
        assert_eq!(check(&charsmap(3, 256, texts)), Ok(()));
        assert_eq!(check(&charsmap(1, 256, texts)), Err("its trie points to no text"), "inside of é");
        assert_eq!(check(&charsmap(99, 256, texts)), Err("its trie points to no text"));
        assert_eq!(check(&charsmap(0, 250, texts)), Err("its trie leads out of itself"));
        assert_eq!(check(&charsmap(0, 256, &[0xFF])), Err("its texts are not UTF-8"));
        let long = "x".repeat(GROWTH);
        assert_eq!(check(&charsmap(0, 256, long.as_bytes())), Ok(()));
        assert_eq!(check(&charsmap(0, 256, (long + "x").as_bytes())), Err("it multiplies texts"));
        let mut odd = charsmap(0, 256, texts);
        odd[0] += 1;
        assert_eq!(
            check(&odd),
            Err("its trie ends within a unit"),
            "the library would begin the texts elsewhere"
        );
        for cut in [0, 3, 4, 100] {
            assert!(check(&charsmap(0, 256, texts)[..cut]).is_err(), "{cut}");
        }
    }
}
