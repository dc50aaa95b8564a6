"""Ready models built from `fastlstm.nn`."""

from fastlstm.models.language_model import LanguageModel
from fastlstm.models.sampling import sample
from fastlstm.models.seq2seq import Seq2Seq
from fastlstm.models.sequence_classifier import SequenceClassifier
from fastlstm.models.softmax import SoftmaxDecoder, softmax_loss
from fastlstm.models.text_classifier import TextClassifier

__all__ = [
    "LanguageModel",
    "Seq2Seq",
    "SequenceClassifier",
    "SoftmaxDecoder",
    "TextClassifier",
    "sample",
    "softmax_loss",
]
