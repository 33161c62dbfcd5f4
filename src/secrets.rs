//! What looks like a secret: a command line is written to the key, the lock, the log and the result, and no secret may be.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

/// One way to write a secret, which is the pattern's `value`.
struct Sort {
    /// A text without any of these, in small letters, has none: patterns take time to prepare, and most texts need none.
    words: &'static [&'static str],
    pattern: LazyLock<Option<Regex>>,
    is_one: fn(&Captures<'_>, &str) -> bool,
}

impl Sort {
    const fn new(
        words: &'static [&'static str],
        is_one: fn(&Captures<'_>, &str) -> bool,
        pattern: fn() -> Option<Regex>,
    ) -> Self {
        Self { words, pattern: LazyLock::new(pattern), is_one }
    }
}

/// Tokens that say themselves what they are.
const TOKENS: &str = r"\b(?<value>
    hf_[A-Za-z0-9]{16,} | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
    | sk-[\w-]{20,} | xox[abeoprs]-[\w-]{10,} | (?:AKIA|ASIA)[0-9A-Z]{16} | AIza[\w-]{30,}
    | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{30,} | SG\.[\w-]{16,}\.[\w-]{16,}
    | eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?
)";

/// The rest of a private key is on the lines below.
const KEYS: &str = r"(?<value>-----BEGIN\x20[A-Z\x20]*PRIVATE\x20KEY-----(?su:.*?)(?:-----END|$))";

/// Between the name and the `@` of an address.
const ADDRESSES: &str = r#"[A-Za-z][\w+.-]*:// (?u:[^\x00-\x20/:@'"])* : (?<value>(?u:[^\x00-\x20/@'"])+) @"#;

/// What is sent to a server to say who asks.
const HEADERS: &str = r#"(?i)
    (?: \bauthorization['"]?\s*[:=]\s*['"]?(?:(?:bearer|basic|token)\s+)? | \bbearer\s+ )
    (?<value>(?u:[^\x00-\x20'"])+)"#;

/// Options of programs that take `name:password`, or a password, under a name that does not say so.
const PROGRAMS: &str = r#"
    (?: \bcurl\b(?u:.)*?\s(?:-u|--user)[\s=]*['"]?(?u:[^\x00-\x20:'"])+: | \bsshpass\s+-p\s*['"]? )
    (?<value>(?u:[^\x00-\x20'"])+)"#;

/// `NAME=value`, `name: value`, `--name value`.
const NAMED: &str = r#"(?i)
    (?: (?<name>[\w-]*(?:NAMES)) (?: = | ['"]?\s*:\s* ) | (?<option>--?[\w-]*(?:NAMES)) \s+ )
    ['"]? (?<value>(?u:[^\x00-\x20'"&;|)])+)"#;

/// What is never anything else.
const PASSWORDS: &str = "password|passwd|passphrase|secret|credentials?";

/// What may be something short, or a path.
const MAYBE: &str = "token|(?:api|access|secret|private|auth|account|signing|encryption)[_-]?key(?:[_-]?id)?";

/// Tokens of a vocabulary, which are none.
const VOCABULARY: [&str; 8] = ["pad", "mask", "eos", "bos", "unk", "sep", "cls", "special"];

static SORTS: [Sort; 7] = [
    Sort::new(
        &["hf_", "gh", "glpat-", "sk-", "xox", "akia", "asia", "aiza", "npm_", "pypi-", "sg.", "eyj"],
        is_any,
        || compiled(TOKENS),
    ),
    Sort::new(&["-----begin"], is_any, || compiled(KEYS)),
    Sort::new(&["://"], is_any, || compiled(ADDRESSES)),
    Sort::new(&["authorization", "bearer"], is_long, || compiled(HEADERS)),
    Sort::new(&["curl", "sshpass"], is_any, || compiled(PROGRAMS)),
    Sort::new(&["passw", "passphrase", "secret", "credential"], is_any, || {
        compiled(&NAMED.replace("NAMES", PASSWORDS))
    }),
    Sort::new(&["token", "key"], is_key, || compiled(&NAMED.replace("NAMES", MAYBE))),
];

/// White space in a pattern says nothing; classes are of ASCII unless they say otherwise. All are constants, which a test
/// uses: none fails.
fn compiled(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("(?x-u){pattern}")).ok()
}

/// Where a text has what looks like a secret, in bytes, in no order.
#[must_use]
pub fn secrets(text: &str) -> Vec<Range<usize>> {
    let small = text.to_lowercase();
    let sorts = SORTS.iter().filter(|sort| sort.words.iter().any(|word| small.contains(word)));
    let found = sorts.flat_map(|sort| {
        let captures = sort.pattern.iter().flat_map(|pattern| pattern.captures_iter(text));
        captures.filter_map(|found| {
            let value = found.name("value")?;
            (is_literal(value.as_str()) && (sort.is_one)(&found, value.as_str())).then(|| value.range())
        })
    });
    found.collect()
}

/// Whether a variable's name says that its value is a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "passwd", "passphrase", "secret", "credential", "token", "key", "auth"]
        .iter()
        .any(|word| name.contains(word))
}

/// The same text with stars for them: each byte one, so that places in it stay what they are.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in secrets(text).into_iter().flat_map(|span| span.clone()) {
        if bytes[byte] != b'\n' {
            bytes[byte] = b'*';
        }
    }
    // Whole characters were replaced.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Not a variable of the shell, a placeholder, or what stands for a value in an example.
fn is_literal(value: &str) -> bool {
    !value.starts_with(['$', '{', '<', '`', '*', '\\'])
}

fn is_any(_: &Captures<'_>, _: &str) -> bool {
    true
}

fn is_long(_: &Captures<'_>, value: &str) -> bool {
    const SHORTEST: usize = 8;
    value.len() >= SHORTEST
}

fn is_key(found: &Captures<'_>, value: &str) -> bool {
    let name = found.name("name").or_else(|| found.name("option")).map_or("", |name| name.as_str());
    let name = name.to_lowercase();
    let of_a_vocabulary = name.ends_with("token") && VOCABULARY.iter().any(|word| name.contains(word));
    is_long(found, value) && !value.starts_with(['/', '.', '~', '@']) && !of_a_vocabulary
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [(&str, &str); 20] = [
        ("huggingface-cli login --token hf_abcdefghijklmnopqrstuvwx", "hf_abcdefghijklmnopqrstuvwx"),
        ("TOKEN=ghp_abcdefghijklmnopqrstuvwx gh x", "ghp_abcdefghijklmnopqrstuvwx"),
        ("x sk-abcdefghijklmnopqrstuvwx", "sk-abcdefghijklmnopqrstuvwx"),
        ("x AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
        ("x eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI aws s3 cp", "wJalrXUtnFEMI"),
        ("PGPASSWORD='hunter2' psql", "hunter2"),
        ("psql --password hunter2", "hunter2"),
        ("mysql --password=hunter2 -e x", "hunter2"),
        ("curl -H 'X-Api-Key: 0123456789ab' u", "0123456789ab"),
        ("curl -H \"Authorization: Bearer abcdefgh1\" u", "abcdefgh1"),
        ("curl -H 'authorization: Basic YWxhZGRpbjpvcGVu' u", "YWxhZGRpbjpvcGVu"),
        ("curl -sS -u me:s3cret https://x", "s3cret"),
        ("git clone https://me:s3cret@host/x.git", "s3cret"),
        ("psql postgres://u:pä55@h/db", "pä55"),
        ("sshpass -p s3cret ssh h", "s3cret"),
        ("echo '{\"client_secret\": \"abc\"}'", "abc"),
        ("fetch --api-key=0123456789", "0123456789"),
        ("fetch --client-secret abc", "abc"),
        (
            "echo '-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA'",
            "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END",
        ),
    ];

    #[test]
    fn what_looks_like_a_secret_is_found_and_masked_in_place() {
        for (text, secret) in SECRETS {
            let found = secrets(text);
            assert!(found.iter().any(|span| &text[span.clone()] == secret), "{text}: {found:?}");
            let hidden = masked(text);
            assert_eq!(hidden.len(), text.len());
            assert!(secret.lines().all(|line| !hidden.contains(line)), "{hidden}");
        }
    }

    #[test]
    fn variables_placeholders_and_other_words_are_no_secrets() {
        for text in [
            "huggingface-cli login --token \"$HF_TOKEN\"",
            "TOKEN=${HF_TOKEN} fetch --token {token} --api-key `cat key`",
            "python train.py --max-tokens 100000000 --pad-token endoftext --token-type subwords",
            "python x.py --tokenizer camembert-base --password-file /run/secrets/password",
            "fetch --token /run/secrets/token --key-column identifier",
            "sort -t: -k2 {in} > {out}; grep basic tokenizer",
            "[ \"$SECRET\" = x ] && rsync me@host:/data/x .",
            "echo https://host:8080/a@b 0123456789abcdef0123456789abcdef",
            "docker run -u 1000:1000 x",
        ] {
            assert!(secrets(text).is_empty(), "{text}");
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn every_pattern_is_one() {
        assert!(SORTS.iter().all(|sort| sort.pattern.is_some()));
    }
}
