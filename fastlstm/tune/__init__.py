"""Searching good options with Optuna: ``fastlstm tune`` as a function.

It needs Optuna: ``pip install "fastlstm[tune]"``.
"""

from fastlstm.tune.function import tune
from fastlstm.tune.results import Trial, Tuned

__all__ = ["Trial", "Tuned", "tune"]
