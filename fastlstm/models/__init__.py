"""Ready models built from `fastlstm.nn`."""

from fastlstm.models.text_classifier import TextClassifier

__all__ = ["TextClassifier"]
