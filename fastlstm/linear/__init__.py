"""A linear classifier of texts over their n-grams: strong on small sets, and trained in seconds."""

from .bag_of_ngrams import BagOfNgrams
from .options import NgramOptions
from .token_rows import TokenRows
from .training import LinearTraining

__all__ = ["BagOfNgrams", "LinearTraining", "NgramOptions", "TokenRows"]
