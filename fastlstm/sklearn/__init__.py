"""Recurrent nets as scikit-learn estimators: `fit`, `predict`, `GridSearchCV`, pipelines, pickles.

``from fastlstm.sklearn import LSTMClassifier``; needs scikit-learn, the extra "sklearn".
"""

try:
    import sklearn as _sklearn
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ImportError(
        "fastlstm.sklearn needs scikit-learn: pip install 'fastlstm[sklearn]'"
    ) from error

from fastlstm.sklearn.classifier import LSTMClassifier

__all__ = ["LSTMClassifier"]
