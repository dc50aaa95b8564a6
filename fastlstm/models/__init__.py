"""Ready models built from `fastlstm.nn`."""

from fastlstm.models.adaptive_softmax import AdaptiveSoftmax
from fastlstm.models.crf import CRF
from fastlstm.models.horizon_decoder import HorizonDecoder
from fastlstm.models.language_model import LanguageModel
from fastlstm.models.sampling import sample
from fastlstm.models.seq2seq import Seq2Seq
from fastlstm.models.sequence_autoencoder import SequenceAutoencoder
from fastlstm.models.sequence_classifier import SequenceClassifier
from fastlstm.models.sequence_regressor import SequenceRegressor
from fastlstm.models.sequence_tagger import SequenceTagger
from fastlstm.models.softmax import SoftmaxDecoder, softmax_loss
from fastlstm.models.text_classifier import TextClassifier

__all__ = [
    "CRF",
    "AdaptiveSoftmax",
    "HorizonDecoder",
    "LanguageModel",
    "Seq2Seq",
    "SequenceAutoencoder",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "SoftmaxDecoder",
    "TextClassifier",
    "sample",
    "softmax_loss",
]
