"""Text for sequence models: words, vocabularies, batches, and the IMDB reviews::

data = load_imdb()                                  # finds, downloads or falls back; says which
train = data.train.truncate(400, keep="ends")       # Encoded: flat tokens, offsets, labels
for batch in batches(train, 64, seed=0, epoch=3):   # tokens [N, T], lengths [N], labels [N]
    ...
"""

from fastlstm.files.cache import cache_folder
from fastlstm.text.batches import Batch, batches, collate, count_batches, plan_batches
from fastlstm.text.download import ChecksumError, DownloadError, UnreachableError
from fastlstm.text.encoded import Encoded
from fastlstm.text.imdb import ImdbData, IncompleteDataWarning, load_imdb, load_unlabelled
from fastlstm.text.language import LanguageData, load_language
from fastlstm.text.symbols import Symbols
from fastlstm.text.tokenizer import tokenize
from fastlstm.text.vocabulary import PAD, UNK, Vocabulary
from fastlstm.text.windows import Window, columns, count_windows, windows

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
