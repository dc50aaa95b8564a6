"""Recurrent nets as scikit-learn estimators: `fit`, `predict`, `GridSearchCV`, pipelines, pickles.

``from fastlstm.sklearn import LSTMClassifier, LSTMForecaster, LSTMRegressor``; they need the extra
"sklearn", which is scikit-learn.
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
from fastlstm.sklearn.forecaster import LSTMForecaster
from fastlstm.sklearn.regressor import LSTMRegressor

__all__ = ["LSTMClassifier", "LSTMForecaster", "LSTMRegressor"]
