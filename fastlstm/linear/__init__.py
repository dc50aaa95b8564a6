"""A linear classifier of texts over their n-grams: strong on small sets, and trained in seconds."""

from fastlstm.linear.bag_of_ngrams import BagOfNgrams
from fastlstm.linear.options import NgramOptions
from fastlstm.linear.token_rows import TokenRows
from fastlstm.linear.training import LinearTraining

__all__ = ["BagOfNgrams", "LinearTraining", "NgramOptions", "TokenRows"]
