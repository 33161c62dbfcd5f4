//! Work of other crates on foreign files, which may panic where those are damaged.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Does it; `None` where it panics. Nothing is printed of that: what a panic says may quote a text.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !WATCHED.get() {
                others(panic);
            }
        }));
    });
    let outer = WATCHED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    WATCHED.set(outer);
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_and_ends_nothing_around_it() {
        let inner = || caught(|| String::from("é").split_at(1).0.len());
        assert_eq!(caught(|| (inner(), 1)), Some((None, 1)));
        assert!(!WATCHED.get());
    }
}
