"""Ready models built from `fastlstm.nn`."""

from fastlstm.models.seq2seq import Seq2Seq
from fastlstm.models.sequence_classifier import SequenceClassifier
from fastlstm.models.text_classifier import TextClassifier

__all__ = ["Seq2Seq", "SequenceClassifier", "TextClassifier"]
