//! Labels whose types are called otherwise.

use stage_contract::StageError;

use super::{
    Labels, Tag,
    types::{Policy, Types},
};

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
            if meaning.is_empty() || meaning == "O" || meaning.contains(char::is_whitespace) {
                return Err(StageError::new(format!(
                    "`types` calls {kind} `{meaning}`, which is no name of a type"
                ))
                .help("write a name without blanks, `outside` for no entity, or `ignore`"));
            }
            let dropped =
                self.type_index(meaning).is_some() && Types::policy(types.meaning(meaning)) != Policy::Learn;
            if Types::policy(meaning) == Policy::Learn && dropped {
                return Err(StageError::new(format!(
                    "`types` calls {kind} {meaning}, but {meaning} is not learned"
                ))
                .help(format!("give {kind} another name, or leave `{meaning} = ..` out")));
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
}
