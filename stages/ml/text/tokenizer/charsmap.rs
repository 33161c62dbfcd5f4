//! Whether a `SentencePiece` model's normalisation is whole: a double-array trie of UTF-8 bytes and the texts that its
//! values point to (sentencepiece's `normalizer.cc`, Darts-clone's `darts.h`). The library that applies it looks up
//! positions without asking whether they exist, and so would panic at the first text that reaches a damaged one.

/// # Errors
/// What is damaged.
pub(super) fn check(charsmap: &[u8]) -> Result<(), &'static str> {
    let (size, rest) = charsmap.split_first_chunk::<4>().ok_or("it ends early")?;
    let size = u32::from_le_bytes(*size) as usize;
    let (trie, texts) = rest.split_at_checked(size).ok_or("it ends early")?;
    let units: Vec<u32> =
        trie.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]])).collect();
    let texts = std::str::from_utf8(texts).map_err(|_| "its texts are not UTF-8")?;
    let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
    let mut seen = vec![false; units.len()];
    let mut open = vec![offset(*units.first().ok_or("it is empty")?)];
    while let Some(base) = open.pop() {
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
                if !texts.is_char_boundary(value as usize) {
                    return Err("its trie points to no text");
                }
            }
            open.push(next);
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
        for cut in [0, 3, 4, 100] {
            assert!(check(&charsmap(0, 256, texts)[..cut]).is_err(), "{cut}");
        }
    }
}
