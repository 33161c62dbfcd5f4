//! Every sort of mistake, by name.

use std::fmt::{self, Display};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Every sort of mistake. The name is stable: scripts and searches may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name without `ner_pipe::`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The pipeline file is not there.
    MissingPipeline = "missing_pipeline",
    /// A pipeline or config file cannot be read.
    UnreadableFile = "unreadable_file",
    /// A pipeline or config file is not UTF-8.
    NotUtf8 = "not_utf8",
    /// Not TOML.
    Syntax = "syntax",
    /// A key that means nothing at this place.
    UnknownKey = "unknown_key",
    /// A key that must be there is not.
    MissingKey = "missing_key",
    /// A number where a table is expected, and the like.
    WrongType = "wrong_type",
    /// A name with characters that names cannot have.
    BadName = "bad_name",
    /// Another pipeline file publishes to the same folder.
    NameTaken = "name_taken",
    /// Nothing to run.
    EmptyPipeline = "empty_pipeline",
    /// No stage has this name.
    UnknownStage = "unknown_stage",
    /// A stage or kind that other builds may have, and this one has not.
    AbsentStage = "absent_stage",
    /// The stage has no such parameter.
    UnknownParameter = "unknown_parameter",
    /// A parameter that must be given is not.
    MissingParameter = "missing_parameter",
    /// A parameter's value is of the wrong type.
    MistypedParameter = "mistyped_parameter",
    /// A number that is too small or too large for a parameter, or a list that is too short or too long.
    OutOfRange = "out_of_range",
    /// A parameter's value makes no sense beside others or the inputs.
    InvalidParameter = "invalid_parameter",
    /// A command line that holds what looks like a secret.
    Secret = "secret",
    /// Parameters in two places.
    ParamsAndConfig = "params_and_config",
    /// `{x}` in a command is not one of its inputs or outputs, or a brace is alone.
    BadPlaceholder = "bad_placeholder",
    /// An input that is not written `sources.x` or `stage.output`.
    BadReference = "bad_reference",
    /// An input names no source.
    UnknownSource = "unknown_source",
    /// An input names no stage of this pipeline.
    UnknownOrigin = "unknown_origin",
    /// An input names no output of that stage.
    UnknownOutput = "unknown_output",
    /// The stage has no such input.
    UnknownInput = "unknown_input",
    /// An input that must be wired is not.
    MissingInput = "missing_input",
    /// What flows there is not what the stage reads.
    WrongKind = "wrong_kind",
    /// No kind has this name.
    UnknownKind = "unknown_kind",
    /// Stages that wait for each other.
    Cycle = "cycle",
    /// Two names of a command that cannot be told apart.
    DuplicateName = "duplicate_name",
    /// A command that declares no output.
    NoOutput = "no_output",
    /// A stage of the registry publishes its outputs itself.
    DeclaredOutput = "declared_output",
    /// Two outputs at one place, or one inside the other.
    DuplicateOutput = "duplicate_output",
    /// An output that would replace an input, or a file of the runner.
    ProtectedPath = "protected_path",
    /// A path that leaves the project.
    OutsideProject = "outside_project",
    /// Neither a repository of the hub nor a revision of one.
    BadHub = "bad_hub",
    /// A source that lies in two places.
    PathAndHub = "path_and_hub",
    /// A source that is not there.
    MissingSource = "missing_source",
    /// A file where a folder is needed, or the reverse.
    WrongShape = "wrong_shape",
    /// Not a duration.
    BadDuration = "bad_duration",
    /// Not an amount of something.
    BadAmount = "bad_amount",
    /// A resource that the file does not say the total of.
    UnknownResource = "unknown_resource",
    /// A stage asks for more than there is.
    TooMuch = "too_much",
    /// A stage that is expanded in two ways.
    ForeachAndMatrix = "foreach_and_matrix",
    /// `foreach` or `matrix` with nothing in it.
    NoInstance = "no_instance",
    /// A value that no id can be made of.
    BadInstance = "bad_instance",
    /// Two instances of one id.
    DuplicateInstance = "duplicate_instance",
    /// A slip in `matrix`, by its number of stages.
    TooManyInstances = "too_many_instances",
    /// `--set` changes nothing that exists, or cannot be read.
    BadOverride = "bad_override",
    /// A stage looked at its inputs and will not start.
    Preflight = "preflight",
    /// `init` would overwrite something, or lacks what the project is to start from.
    CannotInit = "cannot_init",
}

impl Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ner_pipe::{}", self.name())
    }
}
