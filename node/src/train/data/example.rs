//! One example as text: a prompt that is masked from the loss, and what follows it.

/// A prompt, possibly empty, and what the model should say after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    prompt: String,
    completion: String,
}

impl Example {
    /// Running text: all of it counts in the loss. `None` if it is blank.
    #[must_use]
    pub fn text(text: &str) -> Option<Self> {
        (!text.trim().is_empty()).then(|| Self { prompt: String::new(), completion: text.to_owned() })
    }

    /// A prompt and its completion. `None` if the completion is blank.
    #[must_use]
    pub fn prompted(prompt: &str, completion: &str) -> Option<Self> {
        (!completion.trim().is_empty()).then(|| Self { prompt: prompt.to_owned(), completion: completion.to_owned() })
    }

    /// A question and its answer through a template. Blanks before the answer belong to the completion: tokenizers
    /// join a blank with the word after it, and at inference the prompt ends before it.
    #[must_use]
    pub fn asked(template: &str, question: &str, answer: &str) -> Option<Self> {
        if answer.trim().is_empty() {
            return None;
        }
        let (before, after) = template.split_once("{answer}")?;
        let prompt = before.trim_end_matches(' ');
        let blanks = &before[prompt.len()..];
        let completion = format!("{blanks}{answer}{after}");
        Some(Self { prompt: prompt.replacen("{question}", question, 1), completion })
    }

    /// What is masked from the loss.
    #[must_use]
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// What counts in the loss.
    #[must_use]
    pub fn completion(&self) -> &str {
        &self.completion
    }

    /// BLAKE3 of the prompt's length (u64, little-endian), the prompt and the completion: decides the held-out side.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.prompt.len() as u64).to_le_bytes());
        hasher.update(self.prompt.as_bytes());
        hasher.update(self.completion.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Whether an example is held out: its hash, as a fraction of all hashes, lies below `fraction`. Independent of the
/// example's place, so appending never moves an example from one side to the other.
#[must_use]
pub(crate) fn held_out(hash: &[u8; 32], fraction: f64) -> bool {
    let mut head = [0; 8];
    head.copy_from_slice(&hash[..8]);
    // 53 bits, so that the conversion is exact.
    ((u64::from_le_bytes(head) >> 11) as f64) < fraction * (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_before_the_answer_belong_to_the_completion() {
        let example = Example::asked("Question: {question}\nAnswer: {answer}", "Why?", "So.").unwrap();
        assert_eq!((example.prompt(), example.completion()), ("Question: Why?\nAnswer:", " So."));
    }

    #[test]
    fn about_the_asked_share_is_held_out_and_a_larger_share_contains_it() {
        let hashes: Vec<_> = (0..2000).map(|i| Example::text(&format!("text {i}")).unwrap().hash()).collect();
        let share = |fraction| hashes.iter().filter(|hash| held_out(hash, fraction)).count();
        assert_eq!(share(0.0), 0);
        assert!((150..250).contains(&share(0.1)), "{}", share(0.1));
        assert!(hashes.iter().all(|hash| !held_out(hash, 0.1) || held_out(hash, 0.2)));
    }

    #[test]
    fn moving_a_character_between_prompt_and_completion_changes_the_hash() {
        let hash = |prompt, completion| Example::prompted(prompt, completion).unwrap().hash();
        assert_ne!(hash("ab", "c"), hash("a", "bc"));
    }
}
