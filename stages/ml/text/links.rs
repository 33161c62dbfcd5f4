//! Addresses of the net inside text: e-mail, URL, bare host name.

/// Top-level domains that make a bare host name (`service-public.fr`) an address and not two sentences without a space.
const DOMAINS: [&str; 12] = ["fr", "com", "org", "net", "eu", "be", "ch", "ca", "info", "io", "re", "bzh"];

/// No address is longer, and longer chunks would be searched again at each of their words.
const LONGEST: usize = 2048;

/// Whether a chunk of text without spaces may hold an address: cheap, for the many that hold none.
#[must_use]
pub fn possible(chunk: &[char]) -> bool {
    chunk.len() <= LONGEST
        && chunk.windows(2).any(|w| w[0] == '@' || (w[0] == '.' && w[1].is_alphanumeric()) || w == [':', '/'])
}

/// Length of the address that begins a chunk of text without spaces, closing punctuation left out; `None` if there is none.
#[must_use]
pub fn length(chunk: &[char]) -> Option<usize> {
    let text: String = chunk.iter().collect();
    let lower = text.to_ascii_lowercase();
    let starts = ["http://", "https://", "ftp://", "www."].iter().any(|p| lower.starts_with(p));
    let end = trimmed(chunk);
    let body: String = chunk[..end].iter().collect();
    let is_address = if starts { end > 4 } else { is_mail(&body) || is_host(&body) };
    if is_address {
        return Some(end);
    }
    // `j@x.fr,puis`: an address may be followed by more, without a space.
    let short =
        chunk.iter().position(|c| matches!(c, ',' | ';' | ')' | '>' | '»' | '"')).filter(|&n| n < end)?;
    let end = trimmed(&chunk[..short]);
    let body: String = chunk[..end].iter().collect();
    (is_mail(&body) || is_host(&body)).then_some(end)
}

/// The chunk's length without closing punctuation; a `)` that the chunk opens stays.
fn trimmed(chunk: &[char]) -> usize {
    let mut end = chunk.len();
    while let Some(&c) = chunk[..end].last() {
        let opened = c == ')' && chunk[..end].contains(&'(');
        if opened
            || !matches!(
                c,
                '.' | ',' | ';' | ':' | '!' | '?' | ')' | ']' | '>' | '»' | '"' | '”' | '’' | '\'' | '…'
            )
        {
            break;
        }
        end -= 1;
    }
    end
}

fn is_mail(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
        && is_dotted(host)
}

fn is_host(text: &str) -> bool {
    let host = text.split(['/', '?', '#']).next().unwrap_or(text);
    is_dotted(host) && host.rsplit('.').next().is_some_and(|top| DOMAINS.contains(&top))
}

fn is_dotted(host: &str) -> bool {
    host.contains('.')
        && host.split('.').all(|part| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !part.starts_with('-')
        })
}
