//! UTF-8 that was read as Windows-1252 or Latin-1 and written as UTF-8 again: `Ã©` for é, `â€™` for ’; and Windows-1252
//! that was read as Latin-1: a control character for œ, ’ and €.

/// Repairs every double-encoded character, also when it happened twice; `None` when there is none.
/// Sequences that mean something in French as they stand (`CAFÉ»`) are left alone: see [`plausible`].
#[must_use]
pub fn repair(text: &str) -> Option<String> {
    let mut repaired: Option<String> = None;
    // Twice is what happens in practice; the bound keeps a malicious line from costing more.
    for _ in 0..3 {
        match once(repaired.as_deref().unwrap_or(text)) {
            Some(better) => repaired = Some(better),
            None => break,
        }
    }
    // The second half of a double-encoded à is a no-break space, which many tools turn into a plain one.
    let repaired = repaired.map(|text| text.replace("Ã ", "à "));
    controls(repaired.as_deref().unwrap_or(text)).or(repaired)
}

/// No text has C1 control characters, and what reads Windows-1252 as Latin-1 makes them of œ, ’ and €; `None` when there
/// are none.
fn controls(text: &str) -> Option<String> {
    let high = |c: char| HIGH.get(u32::from(c).checked_sub(0x80)? as usize).copied();
    if !text.contains(|c| high(c).is_some()) {
        return None;
    }
    let mut changed = false;
    let meant = text.chars().map(|c| {
        let meant = high(c).unwrap_or(c);
        changed |= meant != c;
        meant
    });
    let meant: String = meant.collect();
    changed.then_some(meant)
}

fn once(text: &str) -> Option<String> {
    // Every sequence begins with a character between Â and ô, and goes on with a byte that cannot begin one.
    let mut pairs = text.chars().zip(text.chars().skip(1));
    let sequence = |(lead, next)| {
        ('\u{c2}'..='\u{f4}').contains(&lead) && byte(next).is_some_and(|next| (0x80..=0xbf).contains(&next))
    };
    if !pairs.any(sequence) {
        return None;
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut changed = false;
    let mut at = 0;
    while at < chars.len() {
        if let Some((c, length)) = decode(&chars[at..]) {
            out.push(c);
            at += length;
            changed = true;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    changed.then_some(out)
}

/// The character whose UTF-8 bytes the first characters are, and how many of them.
fn decode(chars: &[char]) -> Option<(char, usize)> {
    let lead = byte(chars[0])?;
    let length = match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut bytes = [0; 4];
    for (slot, &c) in bytes[..length].iter_mut().zip(chars.get(..length)?) {
        *slot = byte(c)?;
    }
    let c = std::str::from_utf8(&bytes[..length]).ok()?.chars().next()?;
    plausible(c).then_some((c, length))
}

/// Characters that French text holds. Others are more likely to be what they seem: `É»` would become ɻ.
fn plausible(c: char) -> bool {
    matches!(c,
        // C1 controls and `ˆ ˜ ƒ` are what a letter that was encoded three times is on the way back.
        '\u{80}'..='\u{ff}' | 'ˆ' | '˜' | 'ƒ' | 'Œ' | 'œ' | 'Ÿ' | 'Š' | 'š' | 'Ž' | 'ž' | '\u{300}'..='\u{36f}'
        | '\u{2000}'..='\u{2bff}' | '\u{feff}' | '\u{1f000}'..='\u{1faff}')
}

/// What Windows-1252 has from 0x80 on; its five holes as Latin-1 has them.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The byte that Windows-1252 writes for a character above ASCII.
fn byte(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ 0x80..=0xff => u8::try_from(code).ok(),
        _ => HIGH.iter().position(|&h| h == c).and_then(|i| u8::try_from(0x80 + i).ok()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spoil(text: &str, windows: bool) -> String {
        let decode = |b: &u8| {
            (0x80..=0x2fff_u32)
                .filter_map(char::from_u32)
                .find(|&c| b.is_ascii() || (windows && u32::from(c) > 0xff && byte(c) == Some(*b)))
                .filter(|_| !b.is_ascii())
                .unwrap_or(char::from(*b))
        };
        text.as_bytes().iter().map(decode).collect()
    }

    #[test]
    fn double_encoded_french_is_repaired() {
        let text = "L’été où l’œuvre coûte 5 € – « voilà », ça… ÀÉÈ 🎯";
        for windows in [true, false] {
            assert_eq!(repair(&spoil(text, windows)).as_deref(), Some(text));
            assert_eq!(repair(&spoil(&spoil(text, windows), windows)).as_deref(), Some(text));
        }
        assert_eq!(repair("hÃ©bergÃ© Ã Paris").as_deref(), Some("hébergé à Paris"));
        assert_eq!(repair("ï»¿Début").as_deref(), Some("\u{feff}Début"));
    }

    #[test]
    fn windows_1252_that_was_read_as_latin_1_is_repaired() {
        let spoilt = "La s\u{9c}ur de l\u{92}h\u{f4}pital\u{85} 45 \u{80} \u{96} pay\u{e9}";
        assert_eq!(repair(spoilt).as_deref(), Some("La sœur de l’hôpital… 45 € – payé"));
        assert_eq!(repair("\u{9c}uvre rÃ©ussie").as_deref(), Some("œuvre réussie"));
        assert_eq!(repair("\u{81} a hole of Windows-1252"), None);
    }

    #[test]
    fn french_as_it_stands_is_left_alone() {
        for text in [
            "Le «CAFÉ», l’«ÉTÉ»",
            "à «Aix»",
            "Âge, Îles, Ô temps",
            "é\u{a0}»",
            "10 °C ½ µg",
            "SÃO PAULO",
            "ascii",
        ] {
            assert_eq!(repair(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_spoilt_is_repaired(text in "[a-zéèêàçùîôûëïœÉÀ’«» ]{0,30}") {
            let spoilt = spoil(&text, true);
            let expected = (spoilt != text).then(|| text.clone());
            prop_assert_eq!(repair(&spoilt), expected);
        }
    }
}
