use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use serve::{About, Tagger};
use stage_contract::StageError;
use text::entities::Entity;

/// Holds a model back until it is let go.
#[derive(Clone, Default)]
pub struct Hold(Arc<(Mutex<bool>, Condvar)>);

impl Hold {
    pub fn held() -> Self {
        let hold = Self::default();
        *hold.0.0.lock().expect("whole") = true;
        hold
    }

    pub fn release(&self) {
        *self.0.0.lock().expect("whole") = false;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let held = self.0.0.lock().expect("whole");
        drop(self.0.1.wait_while(held, |held| *held).expect("whole"));
    }
}

/// Capitalised words are entities of the type PER. A text with `fail`, `panic` or `unsound` does so.
#[derive(Clone, Default)]
pub struct Fake {
    pub name: String,
    pub hold: Hold,
    /// Of each batch.
    pub pause: Duration,
    /// How the texts of each batch begin.
    pub batches: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Tagger for Fake {
    fn tag(&self, texts: &[String]) -> Result<Vec<Vec<Entity>>, StageError> {
        let begins = |text: &String| text.chars().take(20).collect();
        self.batches.lock().expect("whole").push(texts.iter().map(begins).collect());
        self.hold.pass();
        thread::sleep(self.pause);
        let any = |word: &str| texts.iter().find(|text| text.contains(word));
        if let Some(text) = any("panic") {
            panic!("cannot read {text}");
        }
        if any("fail").is_some() {
            return Err(StageError::new("a word has no piece").help("leave that word out"));
        }
        if any("unsound").is_some() {
            return Ok(vec![
                vec![Entity { kind: "PER".to_owned(), start: 0, end: 9999, score: 0.5 }];
                texts.len()
            ]);
        }
        Ok(texts.iter().map(|text| entities(text)).collect())
    }

    fn tokens(&self, text: &str) -> usize {
        assert!(!text.contains("uncountable"), "{text}");
        text.split_whitespace().count()
    }

    fn about(&self) -> About {
        About {
            name: self.name.clone(),
            types: vec!["PER".to_owned(), "LOC".to_owned()],
            parameters: 1_500_000,
            precision: "f32".to_owned(),
        }
    }
}

fn entities(text: &str) -> Vec<Entity> {
    let characters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    for word in characters.split(|c| c.is_whitespace()) {
        if word.first().is_some_and(|c| c.is_uppercase()) {
            let kind = "PER".to_owned();
            found.push(Entity { kind, start: at, end: at + word.len(), score: 0.987_654_321 });
        }
        at += word.len() + 1;
    }
    found
}
