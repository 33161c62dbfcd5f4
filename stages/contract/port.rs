use std::marker::PhantomData;

use serde_json::Value;

use crate::{Artifact, Invalid, Kind};

/// A port without its type, as the runner sees it.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// The name used in `inputs = { name = ".." }` and in `stage.name`.
    pub name: &'static str,
    /// What flows through it.
    pub kind: Kind,
    /// Whether `pipeline.toml` must wire it (inputs; an output is always required).
    pub required: bool,
    /// Whether it stands for any number of inputs, each under a name that the user chooses; see [`Further`].
    pub further: bool,
    /// Whether it must hold something: an empty one is refused as soon as that is known. An output that the parameters of its
    /// stage leave empty ([`Stage::empty`](crate::Stage::empty)) is refused before any work.
    pub filled: bool,
    /// One line for `ner-pipe stages`.
    pub doc: &'static str,
    /// See [`Artifact::schema`].
    pub schema: fn() -> Option<Value>,
}

impl Port {
    /// Refuses an empty value where there must be something.
    ///
    /// # Errors
    /// It is empty.
    pub(crate) fn expect_filled<A: Artifact>(&self, value: A) -> Result<A, Invalid> {
        if self.filled && value.is_empty() {
            return Err(Invalid::new(format!("the input `{}` holds nothing ({})", self.name, self.doc))
                .at(self.name)
                .help("wire one that holds something, or give the stage that makes it more"));
        }
        Ok(value)
    }
}

macro_rules! typed_port {
    ($(#[$doc:meta])* $name:ident, required: $required:expr, further: $further:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<A> {
            name: &'static str,
            doc: &'static str,
            filled: bool,
            artifact: PhantomData<fn() -> A>,
        }

        impl<A: Artifact> $name<A> {
            /// Declares the port; meant for a `const` next to the stage.
            #[must_use]
            pub const fn new(name: &'static str, doc: &'static str) -> Self {
                Self { name, doc, filled: false, artifact: PhantomData }
            }

            /// The same, which must hold something ([`Artifact::is_empty`]).
            #[must_use]
            pub const fn filled(self) -> Self {
                Self { name: self.name, doc: self.doc, filled: true, artifact: PhantomData }
            }

            /// The port's name in `pipeline.toml`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                self.name
            }

            /// The untyped port for a [`crate::Spec`].
            #[must_use]
            pub const fn port(&self) -> Port {
                Port {
                    name: self.name,
                    kind: A::KIND,
                    required: $required,
                    further: $further,
                    filled: self.filled,
                    doc: self.doc,
                    schema: A::schema,
                }
            }
        }
    };
}

typed_port!(
    /// An input that must be wired.
    Input, required: true, further: false
);
typed_port!(
    /// An input that may be left out.
    Optional, required: false, further: false
);
typed_port!(
    /// Any number of inputs of one kind under names that the user chooses: every name in `inputs` that no other
    /// port of the stage has. Its own name is how the documentation calls one of them. At most one in a stage.
    Further, required: false, further: true
);
typed_port!(
    /// An output: always written when the stage succeeds.
    Output, required: true, further: false
);
