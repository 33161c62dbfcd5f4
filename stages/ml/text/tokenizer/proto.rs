//! A `SentencePiece` model file: the parts of `sentencepiece_model.proto` that tokenising needs
//! (Kudo and Richardson 2018).

use prost::Message;
use stage_contract::StageError;

/// `ModelProto`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Model {
    #[prost(message, repeated, tag = "1")]
    pub pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    pub trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    pub normalizer: Option<Normalizer>,
}

/// `ModelProto.SentencePiece`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Piece {
    #[prost(string, optional, tag = "1")]
    pub text: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub score: Option<f32>,
    #[prost(int32, optional, tag = "3", default = "1")]
    pub kind: Option<i32>,
}

/// `TrainerSpec`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Trainer {
    #[prost(int32, optional, tag = "3", default = "1")]
    pub model_type: Option<i32>,
    #[prost(bool, optional, tag = "35")]
    pub byte_fallback: Option<bool>,
    #[prost(int32, optional, tag = "40")]
    pub unk_id: Option<i32>,
    #[prost(int32, optional, tag = "41", default = "1")]
    pub bos_id: Option<i32>,
    #[prost(int32, optional, tag = "42", default = "2")]
    pub eos_id: Option<i32>,
    #[prost(string, optional, tag = "45", default = "<unk>")]
    pub unk_piece: Option<String>,
    #[prost(string, optional, tag = "46", default = "<s>")]
    pub bos_piece: Option<String>,
    #[prost(string, optional, tag = "47", default = "</s>")]
    pub eos_piece: Option<String>,
}

/// `NormalizerSpec`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Normalizer {
    #[prost(bytes = "vec", optional, tag = "2")]
    pub precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3", default = "true")]
    pub add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4", default = "true")]
    pub remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5", default = "true")]
    pub escape_whitespaces: Option<bool>,
}

/// `TrainerSpec.ModelType`
pub(super) const UNIGRAM: i32 = 1;
/// `TrainerSpec.ModelType`
pub(super) const BPE: i32 = 2;

/// `SentencePiece.Type`: an ordinary piece of text.
pub(super) const NORMAL: i32 = 1;
/// `SentencePiece.Type`: no piece of any text.
pub(super) const CONTROL: i32 = 3;
/// `SentencePiece.Type`: found as a whole wherever it stands.
pub(super) const USER_DEFINED: i32 = 4;

/// A model with all of its parts.
pub(super) struct Whole {
    pub pieces: Vec<Piece>,
    pub trainer: Trainer,
    pub normalizer: Normalizer,
}

/// Bytes of the longest piece; `SentencePiece` makes none of more than 16 characters unless it is asked to. A BPE is asked
/// for each place where a piece can be parted.
const LONGEST_PIECE: usize = 1000;

/// # Errors
/// It is damaged, ends early, or is of a kind (words, characters) that no encoder uses.
pub(super) fn read(bytes: &[u8]) -> Result<Whole, StageError> {
    let Model { pieces, trainer, normalizer } =
        Model::decode(bytes).map_err(|e| StageError::because("it is damaged", e))?;
    // What ends between two of its parts is still a message.
    let (Some(trainer), Some(normalizer)) = (trainer, normalizer) else {
        return Err(StageError::new("it ends early"));
    };
    if ![UNIGRAM, BPE].contains(&trainer.model_type()) {
        return Err(StageError::new("it is neither a Unigram nor a BPE model"));
    }
    if let Some(at) = pieces.iter().position(|piece| !piece.score().is_finite()) {
        return Err(StageError::new(format!("the score of piece {at} is not finite")));
    }
    if let Some(at) = pieces.iter().position(|piece| piece.text().len() > LONGEST_PIECE) {
        return Err(StageError::new(format!("piece {at} has more than {LONGEST_PIECE} bytes")));
    }
    Ok(Whole { pieces, trainer, normalizer })
}
