"""Text for sequence models: words, vocabularies, batches, and the IMDB reviews::

data = load_imdb()                                  # finds, downloads or falls back; says which
train = data.train.truncate(400, keep="ends")       # Encoded: flat tokens, offsets, labels
for batch in batches(train, 64, seed=0, epoch=3):   # tokens [N, T], lengths [N], labels [N]
    ...
"""

from .batches import Batch, batches, collate, count_batches, plan_batches
from .download import ChecksumError, DownloadError, UnreachableError
from .encoded import Encoded
from .files import cache_folder
from .imdb import ImdbData, IncompleteDataWarning, load_imdb, load_unlabelled
from .language import LanguageData, load_language
from .symbols import Symbols
from .tokenizer import tokenize
from .vocabulary import PAD, UNK, Vocabulary
from .windows import Window, columns, count_windows, windows

__all__ = [
    "PAD",
    "UNK",
    "Batch",
    "ChecksumError",
    "DownloadError",
    "Encoded",
    "ImdbData",
    "IncompleteDataWarning",
    "LanguageData",
    "Symbols",
    "UnreachableError",
    "Vocabulary",
    "Window",
    "batches",
    "cache_folder",
    "collate",
    "columns",
    "count_batches",
    "count_windows",
    "load_imdb",
    "load_language",
    "load_unlabelled",
    "plan_batches",
    "tokenize",
    "windows",
]
