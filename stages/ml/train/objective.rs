//! What the loop minimises, and what it chooses the best epoch by.

use burn::tensor::Tensor;
use stage_contract::StageError;

use crate::checkpoint::Dev;
use encoder::network::Network;

/// One weighted term of a loss.
pub struct Term {
    /// Its name in the history.
    pub name: &'static str,
    /// Its weight now.
    pub weight: f64,
    /// Its raw value `[1]`.
    pub loss: Tensor<1>,
}

/// Where a step stands in a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    /// 1-based.
    pub epoch: u32,
    /// Share of the training that lies behind it: 0 at the first step, 1 at the last.
    pub share: f64,
}

/// Where the numbers of a step stop being finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `the student's numbers overflow in layer 2 of 6 (roberta.encoder.layer.1)`
    pub place: String,
    /// Whether it is in a model that is read and not trained.
    pub given: bool,
}

/// What is trained for.
pub trait Objective: Sync {
    /// The terms of the loss of a batch, in a fixed order: means over its [`Self::words`]. They live where the network does
    /// ([`Network::device`]), and off the CPU nothing on the way to them is read. `read` is that device's copy of what
    /// [`Self::reads`] names; none where that itself is.
    ///
    /// # Errors
    /// When a batch cannot be made.
    fn terms(
        &self,
        network: &Network,
        read: Option<&Network>,
        members: &[usize],
        at: At,
    ) -> Result<Vec<Term>, StageError>;

    /// How many words of a batch the terms are means over.
    fn words(&self, members: &[usize]) -> usize;

    /// What messages call a text: its record's id.
    fn id(&self, text: usize) -> &str;

    /// Where a pass over some texts stops being finite, looked for once the numbers of a step are not; none where it does not.
    /// `network` is out of autodiff.
    fn fault(&self, network: &Network, members: &[usize]) -> Option<Fault>;

    /// A network that is read beside the one that is trained.
    fn reads(&self) -> Option<&Network> {
        None
    }

    /// Scores a network (no autodiff) on the dev part.
    ///
    /// # Errors
    /// When decoding fails.
    fn dev(&self, network: &Network) -> Result<Dev, StageError>;
}
