//! Labels whose types are called otherwise.

use stage_contract::StageError;

use super::{
    Labels, Tag,
    notation::{MARKS, Prefix, as_tag, is_bare, without_prefix},
    types::{Policy, Types, one_name},
};

/// As many slips of the pen make another word of `outside` or `ignore`.
const SLIPS: usize = 2;

/// Words that people write for a type that they do not want, in lower case.
const NO_NAMES: [&str; 6] = ["none", "null", "nil", "out", "drop", "skip"];

impl Labels {
    /// The same labels with their types renamed, joined where several get one name, or not to be learned.
    ///
    /// # Errors
    /// `types` names a type that these labels lack, gives a name that no type can have, or leaves none to learn.
    pub fn renamed(&self, types: &Types) -> Result<Self, StageError> {
        let there = self.types.join(", ");
        for (kind, meaning) in types.iter() {
            if self.type_index(kind).is_none() {
                return Err(StageError::new(format!("`types` names {kind}, which the model does not have"))
                    .help(format!("name one of its types: {there}")));
            }
            if Types::policy(meaning) == Policy::Learn {
                self.check_name(kind, meaning, types)?;
            }
        }
        let (mut names, mut policies): (Vec<String>, Vec<Policy>) = (Vec::new(), Vec::new());
        let index: Vec<usize> = self
            .types
            .iter()
            .map(|kind| {
                let meaning = types.meaning(kind);
                let policy = Types::policy(meaning);
                let name = if policy == Policy::Learn { meaning } else { kind };
                let known = names
                    .iter()
                    .zip(&policies)
                    .position(|known| (known.0.as_str(), *known.1) == (name, policy));
                known.unwrap_or_else(|| {
                    names.push(name.to_owned());
                    policies.push(policy);
                    names.len() - 1
                })
            })
            .collect();
        if !policies.contains(&Policy::Learn) {
            return Err(
                StageError::new("`types` leaves no type to learn").help(format!("keep one of {there}"))
            );
        }
        let tags = self.tags.iter().map(|tag| match *tag {
            Tag::Outside => Tag::Outside,
            Tag::Begin(kind) => Tag::Begin(index[kind]),
            Tag::Inside(kind) => Tag::Inside(index[kind]),
        });
        Ok(Self { tags: tags.collect(), types: names, policies, ..self.clone() })
    }

    /// Whether `meaning` can be what `types` calls `kind`.
    fn check_name(&self, kind: &str, meaning: &str, types: &Types) -> Result<(), StageError> {
        let refused = |why: &str, help: String| {
            Err(StageError::new(format!("`types` calls {kind} `{meaning}`, {why}")).help(help))
        };
        // A name that the model has is one.
        if self.type_index(meaning).is_none() {
            let lower = meaning.trim().to_lowercase();
            let near = [Types::OUTSIDE, Types::IGNORE]
                .into_iter()
                .find(|word| strsim::damerau_levenshtein(&lower, word) <= SLIPS);
            if let Some(near) = near {
                return refused(
                    &format!("which is almost `{near}`"),
                    format!("did you mean `{near}`? Else choose a name that is not so near"),
                );
            }
            let nameless = MARKS.iter().chain(&NO_NAMES).any(|no_name| *no_name == lower);
            if nameless || !meaning.contains(char::is_alphanumeric) {
                return refused(
                    "which is no name of a type",
                    "write the name of a type, `outside` for no entity, or `ignore`".to_owned(),
                );
            }
            if meaning.contains(char::is_whitespace) {
                return refused(
                    "and tags have no blanks",
                    format!("write a name without blanks, such as `{}`", as_tag(meaning)),
                );
            }
            if is_bare(meaning) {
                return refused("which is a prefix without a type", "write the name of a type".to_owned());
            }
            let known = |name: &str| self.types.iter().any(|kind| one_name(kind, name));
            let prefixed = without_prefix(meaning).find(|&(usual, prefix, rest)| {
                known(rest) || (usual && matches!(prefix, Prefix::Begin | Prefix::Inside))
            });
            if let Some((.., rest)) = prefixed {
                return refused(
                    "which is a label and no name of a type",
                    format!("write `{rest}`: students have `B-` and `I-` of every type"),
                );
            }
        }
        for other in &self.types {
            let own = types.meaning(other);
            match Types::policy(own) {
                Policy::Learn if own != meaning && one_name(own, meaning) => {
                    return refused(
                        &format!("which differs from {own} in letter case only"),
                        format!("write `{own}` to join the two, or another name"),
                    );
                }
                Policy::Outside | Policy::Ignore if one_name(other, meaning) => {
                    return refused(
                        &format!("but {other} is not learned"),
                        format!("give {kind} another name, or leave `{other} = ..` out"),
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }
}
