use std::marker::PhantomData;

use crate::{Artifact, Kind};

/// A port without its type, as the runner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name used in `inputs = { name = ".." }` and in `stage.name`.
    pub name: &'static str,
    /// What flows through it.
    pub kind: Kind,
    /// Whether `pipeline.toml` must wire it (inputs; an output is always required).
    pub required: bool,
    /// One line for `ner-pipe stages`.
    pub doc: &'static str,
}

macro_rules! typed_port {
    ($(#[$doc:meta])* $name:ident, $required:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<A> {
            name: &'static str,
            doc: &'static str,
            artifact: PhantomData<fn() -> A>,
        }

        impl<A: Artifact> $name<A> {
            /// Declares the port; meant for a `const` next to the stage.
            #[must_use]
            pub const fn new(name: &'static str, doc: &'static str) -> Self {
                Self { name, doc, artifact: PhantomData }
            }

            /// The port's name in `pipeline.toml`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                self.name
            }

            /// The untyped port for a [`crate::Spec`].
            #[must_use]
            pub const fn port(&self) -> Port {
                Port { name: self.name, kind: A::KIND, required: $required, doc: self.doc }
            }
        }
    };
}

typed_port!(
    /// An input that must be wired.
    Input,
    true
);
typed_port!(
    /// An input that may be left out.
    Optional,
    false
);
typed_port!(
    /// An output: always written when the stage succeeds.
    Output,
    true
);
