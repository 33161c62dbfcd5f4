/// Who hears what happens meanwhile, and may stop it.
pub trait Listener {
    /// Something worth saying: a wait, a second attempt.
    fn note(&self, text: &str);

    /// How much of a file is there; `total` 0 = unknown. Bytes.
    fn bytes(&self, file: &str, done: u64, total: u64);

    /// Whether to stop.
    fn is_cancelled(&self) -> bool {
        false
    }
}
