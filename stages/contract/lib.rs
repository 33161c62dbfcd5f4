//! THE AGREEMENT between the runner and a stage: what a stage declares, what it may touch while it
//! runs, and how it speaks. No Burn and no cache in here, so that either side can be read, built and
//! tested without the other.
//!
//! Read in this order: [`Stage`] (a stage is its parameters), [`Spec`] and its ports, [`Artifact`],
//! [`Context`] (a stage's only access to the outside), [`Registry`] (all that a binary knows), [`report`] (what a page shows).

mod artifact;
mod context;
mod device;
mod error;
mod event;
mod port;
mod registry;
pub mod report;
mod spec;
mod stage;
mod template;
pub mod terminal;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tool;

pub use artifact::{Artifact, Kind, Shape, given};
pub use context::{Clock, Context, Progress};
pub use device::{Backend, Device, DeviceRequest, Devices};
pub use error::{Invalid, StageError};
pub use event::{Event, Sink};
pub use port::{Further, Input, Optional, Output, Port};
pub use registry::{AnyStage, BadParameter, Build, Code, Form, Look, Needed, Preview, Registry, StageKind};
pub use spec::Spec;
pub use stage::{Available, Stage};
pub use template::{Embedded, Given, Setting, Template};
pub use tool::{Tool, ToolContext, ToolError};
