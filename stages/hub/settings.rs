use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

use stage_contract::StageError;
use url::Url;

use crate::cache::Cache;

/// What the environment says of the hub, in the words of Python's `huggingface_hub`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `HF_ENDPOINT`; <https://huggingface.co> when not said.
    pub endpoint: Url,
    /// `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `~/.cache/huggingface`.
    pub cache: Cache,
    /// `HF_HUB_OFFLINE`: no request is made.
    pub offline: bool,
    /// `HF_TOKEN`, else what is in the file `HF_TOKEN_PATH`, else in `token` in `HF_HOME`.
    pub token: Option<Token>,
}

/// Who asks. Never shown: not by `Debug`, and in no error.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Settings {
    /// As this process's environment says.
    ///
    /// # Errors
    /// When a variable makes no sense.
    pub fn from_env() -> Result<Self, StageError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "where files come from is in no result: their content is"
        )]
        Self::of(&|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// As `variable` says; one that is empty is not set.
    ///
    /// # Errors
    /// When a variable makes no sense.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, StageError> {
        let get = |names: &[&str]| {
            let values = names.iter().filter_map(|name| variable(name));
            values.map(|value| value.trim().to_owned()).find(|value| !value.is_empty())
        };
        let user = get(&["HOME"]);
        let path = |text: String| match (text.strip_prefix("~/"), &user) {
            (Some(rest), Some(user)) => Path::new(user).join(rest),
            _ => PathBuf::from(text),
        };
        let caches = || {
            let own = user.as_ref().map(|user| Path::new(user).join(".cache"));
            get(&["XDG_CACHE_HOME"]).map(path).or(own).ok_or_else(|| {
                StageError::new("there is no folder for the files of the hub: HOME is not set")
                    .help("set HF_HOME to a folder with room for models")
            })
        };
        let home = match get(&["HF_HOME"]) {
            Some(home) => path(home),
            None => caches()?.join("huggingface"),
        };
        let cache = get(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).map_or_else(|| home.join("hub"), path);
        let file = get(&["HF_TOKEN_PATH"]).map_or_else(|| home.join("token"), path);
        let token = get(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).or_else(|| fs::read_to_string(file).ok());
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(StageError::new("the token for the hub has a blank or a letter that no token has")
                .help("correct HF_TOKEN, or the file that HF_TOKEN_PATH names"));
        }
        Ok(Self {
            endpoint: endpoint(get(&["HF_ENDPOINT"]))?,
            cache: Cache::at(cache),
            offline: get(&["HF_HUB_OFFLINE"])
                .is_some_and(|value| ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str())),
            token: token.map(Token),
        })
    }
}

fn endpoint(given: Option<String>) -> Result<Url, StageError> {
    const HUB: &str = "https://huggingface.co";
    let text = given.unwrap_or_else(|| HUB.to_owned());
    let url =
        Url::parse(&text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    url.ok_or_else(|| {
        StageError::new(format!("HF_ENDPOINT is `{text}`, which is no address"))
            .help(format!("write one like `HF_ENDPOINT={HUB}`, or unset it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, StageError> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::of(&get)
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        let cache = |variables: &[(&str, &str)]| settings(variables).expect("makes sense").cache.to_string();
        assert_eq!(cache(&[("HOME", "/h")]), "/h/.cache/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), "/x/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/h"), ("HF_HOME", "~/m")]), "/h/m/hub");
        assert_eq!(cache(&[("HF_HOME", "/m"), ("HF_HUB_CACHE", "/c")]), "/c");
        assert!(settings(&[]).is_err());
    }

    #[test]
    fn a_token_is_never_shown() {
        let settings = settings(&[("HF_HOME", "/m"), ("HF_TOKEN", " hf_secret\n")]).expect("makes sense");
        assert!(!format!("{settings:?}").contains("secret"));
        assert_eq!(settings.token.expect("is there").header(), "Bearer hf_secret");
    }

    #[test]
    fn a_token_may_lie_in_a_file() {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("token"), "hf_file\n").expect("writes");
        let home = home.path().to_string_lossy().into_owned();
        let token = |variables: &[(&str, &str)]| settings(variables).expect("makes sense").token;
        assert_eq!(token(&[("HF_HOME", &home)]).expect("is there").header(), "Bearer hf_file");
        assert!(token(&[("HF_HOME", &home), ("HF_TOKEN_PATH", "/nowhere")]).is_none());
    }

    #[test]
    fn an_endpoint_is_an_address_and_offline_a_yes() {
        assert!(settings(&[("HF_HOME", "/m"), ("HF_ENDPOINT", "hub.local")]).is_err());
        let offline =
            |value| settings(&[("HF_HOME", "/m"), ("HF_HUB_OFFLINE", value)]).expect("makes sense").offline;
        assert_eq!([offline("1"), offline("True"), offline("0"), offline("")], [true, true, false, false]);
    }
}
