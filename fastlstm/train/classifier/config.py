"""The options of a training run: names, defaults, valid values and help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from fastlstm.kernels.arguments import check_precision
from fastlstm.kernels.call import PRECISIONS
from fastlstm.models.model import LAYERS
from fastlstm.nn.pooling import POOLINGS
from fastlstm.text.tokenizer import AUTO, CHOICES, WORD_1
from fastlstm.train.optim import OPTIMIZERS
from fastlstm.train.option import LARGEST, TINY, checked, option
from fastlstm.train.schedule import SCHEDULES

STEPS = 1000  # optimizer steps that train a model well
# A pretrained net still learns in its fourth to sixth epoch of many texts: docs/pretrained.md.
FEWEST_EPOCHS, FEWEST_PRETRAINED, MOST_EPOCHS = 3, 6, 40
# Beside a linear part, which has learned the most in seconds: running words that a net reads at
# most, 10 to 15 s on two cores, unless these fewest epochs have more.
MOST_WORDS, FEWEST_JOINED = 2_500_000, 2
PARTS = ("joined", "net", "linear")
FEW, BATCHES = 10_000, (32, 64)  # batch sizes below and from FEW texts on

# Options that may change when a run is resumed: the result does not depend on them. What a file
# holds is compared.
FREE_OPTIONS = ("data", "threads", "vectors", "from_run")

# Options that files of earlier versions do not have, with the values these versions used.
ADDED: dict[str, Any] = {
    "cell": "lstm", "bigrams": 0, "pretrain": False, "pretrain_epochs": 3, "pretrain_window": 1,
    "unlabelled": True, "teachers": 2, "precision": "float32", "vectors": None,
    "freeze_vectors": False, "analyzer": WORD_1, "parts": "net", "marks": False, "from_run": None,
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Options of a training run on IMDB; saved as ``config.json``.

    Raises TypeError or ValueError, which names the option, if a value has the wrong type or is
    impossible.
    """

    free_options: ClassVar[tuple[str, ...]] = FREE_OPTIONS
    added_options: ClassVar[dict[str, Any]] = ADDED

    data: str | None = option(
        None,
        "official archive or its folder, Kaggle CSV, Keras imdb.npz, or 'sample' (bundled); by "
        "default FASTLSTM_DATA, then the cache folder, then a download, else the sample",
    )
    parts: str = option(
        "joined", "what classifies: the recurrent net, a linear part over words, pairs and "
        "triples, or both joined, of which the validation texts say how much each counts",
        choices=PARTS,
    )  # fmt: skip
    marks: bool = option(
        True, "the linear part reads the punctuation marks between the words too, where the data "
        "has some",
    )  # fmt: skip
    vocab_size: int = option(20_000, "words the model knows, padding and unknown included", low=3)
    analyzer: str = option(
        AUTO, "how texts are cut: word, char (also spaces), mixed (the letters of scripts without "
        "spaces, words of others), auto (mixed if most letters are of such scripts, else word), "
        "word-1 (words as in 0.1.0)",
        choices=CHOICES,
    )  # fmt: skip
    max_length: int = option(400, "words kept of each text; 0 = no cut", low=0)
    truncate: str = option(
        "ends", "what of a longer text is kept: its first words or both ends",
        choices=("first", "ends"),
    )  # fmt: skip
    embedding_dim: int = option(128, "size of a word vector", low=1, high=1 << 20)
    embedding_std: float = option(
        0.1, "standard deviation of the first word vectors (torch has 1, which learns slower)",
        low=TINY,
    )  # fmt: skip
    cell: str = option("lstm", "kind of the recurrent layers", choices=tuple(LAYERS))
    hidden_size: int = option(
        128, "units of a recurrent layer in each direction", low=1, high=1 << 20
    )
    num_layers: int = option(1, "recurrent layers", low=1, high=100)
    bidirectional: bool = option(True, "read the text in both directions")
    pooling: str = option("mean+max", "last, mean or max over the words, or several joined by +")
    dropout: float = option(0.3, "on the pooled features and between layers", low=0, below=1)
    embedding_dropout: float = option(0.5, "on the word vectors", low=0, below=1)
    word_dropout: float = option(0.3, "fraction of words hidden in training", low=0, below=1)
    optimizer: str = option("adam", "how the weights are updated", choices=OPTIMIZERS)
    lr: float = option(8e-3, "learning rate", low=TINY)
    momentum: float = option(0.9, "of sgd", low=0, below=1)
    weight_decay: float = option(0.0, "L2 penalty; of adamw the decoupled decay", low=0)
    schedule: str = option("linear", "course of the learning rate", choices=tuple(SCHEDULES))
    warmup: float = option(0.0, "fraction of the run in which the rate rises", low=0, below=1)
    clip: float = option(1.0, "limit of the global gradient norm; 0 = none", low=0)
    average: float = option(
        0.998, "decay of the running average of the weights that is validated and kept; 0 = none",
        low=0, below=1,
    )  # fmt: skip
    batch_size: int = option(
        0, f"texts in a batch; 0 = {BATCHES[1]}, but {BATCHES[0]} of fewer than {FEW:,} texts to "
        "train on", low=0,
    )  # fmt: skip
    epochs: int = option(
        0, f"epochs to train; 0 = as many as make {STEPS:,} steps, but {FEWEST_EPOCHS}, after "
        f"pretraining without teachers {FEWEST_PRETRAINED}, to {MOST_EPOCHS}; joined without "
        f"pretraining at most as many as read {MOST_WORDS:,} words, but {FEWEST_JOINED} or more",
        low=0,
    )  # fmt: skip
    patience: int = option(0, "stop after so many epochs without a better one; 0 = never", low=0)
    validation: float = option(
        0.1, "fraction of the training texts held back to choose the best epoch; 0 = none: the "
        "last epoch is kept", low=0, below=1,
    )  # fmt: skip
    seed: int = option(0, "the same seed gives the same run", low=0, high=LARGEST)
    threads: int = option(0, "threads to use; 0 = one for each available core", low=0, high=1024)
    dtype: str = option("float32", "of weights and states", choices=("float32", "float64"))
    precision: str = option(
        "float32", "of the products in training and testing; float32: as dtype says; bfloat16 is "
        "faster; int8 cannot train, give it to predict and evaluate", choices=PRECISIONS,
    )  # fmt: skip
    bigrams: int = option(
        0, "rows of a hashed table of pairs of neighbouring words, a linear classifier beside the "
        "recurrent layers (1048576 is plenty); 0 = none", low=0, high=1 << 28,
    )  # fmt: skip
    pretrain: bool = option(
        False, "first learn to predict the words of all training texts; training then has half the "
        "learning rate",
    )  # fmt: skip
    unlabelled: bool | tuple[str, ...] = option(
        True, "on IMDB, pretrain on the 50,000 reviews without a label too, which only the "
        "official archive and its folder have",
    )  # fmt: skip
    pretrain_epochs: int = option(3, "epochs of that", low=1)
    pretrain_window: int = option(
        10, "words before and after a word, of which one is predicted; 1 = the nearest", low=1
    )
    teachers: int = option(
        0, "after pretraining: nets that learn from the labelled texts and, joined to the linear "
        "part, give those without a label one, to train on, which helps a net that stands alone; "
        "0 = none", low=0, high=100,
    )  # fmt: skip
    vectors: str | None = option(
        None, "file of pretrained word vectors to begin with: word2vec (text or binary), GloVe or "
        "fastText (.vec), perhaps packed; they say the size of a vector, and words without one "
        "begin at random",
    )  # fmt: skip
    freeze_vectors: bool = option(
        False, "leave the word vectors as they are; fastlstm train then fills the vocabulary up "
        "with the first words of the file, so that words that only later texts have are known",
    )  # fmt: skip
    from_run: str | None = option(
        None, "folder of an earlier run to begin with: with its weights, words and, where none are "
        "given, options; if the classes are others they get a new head",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, checked(item, getattr(self, item.name)))
        if self.precision == "int8":
            raise ValueError(
                "precision is 'int8', in which a net cannot be trained: train in float32 or "
                "bfloat16, and give int8 to fastlstm predict and evaluate"
            )
        check_precision(self.precision, np.dtype(self.dtype), save=True)
        names = self.pooling.split("+")
        if not set(names) <= set(POOLINGS) or len(set(names)) < len(names):
            raise ValueError(
                f"pooling is {self.pooling!r}, expected one of {', '.join(POOLINGS)}, or several "
                "joined by +"
            )
        if self.patience and not self.validation:
            raise ValueError(f"patience is {self.patience}, which needs a validation above 0")
        if self.freeze_vectors and not self.has_vectors:
            raise ValueError("freeze_vectors is True without vectors: random ones say nothing")
        if self.parts == "linear" and (self.pretrain or self.has_vectors):
            raise ValueError("parts is 'linear': there is no net to pretrain, or to begin with")
        if self.pretrain and self.has_vectors:
            raise ValueError("pretrain makes word vectors of its own: leave it or the others out")
        if self.vectors is not None and self.from_run is not None:
            raise ValueError("vectors and from_run exclude each other: that run has its own")

    @property
    def has_vectors(self) -> bool:
        """Whether the word vectors do not begin at random."""
        return self.vectors is not None or self.from_run is not None

    def sized(self, texts: int, words: int = 0) -> dict[str, int]:
        """Return batch_size and epochs, chosen by the number of training texts where they are 0.

        Few texts need small batches and many epochs to make enough steps. Beside a linear part the
        net reads `MOST_WORDS` at most, of texts that have so many `words` in all; but a pretrained
        one, which has more to add, as many as alone, and more than others; with teachers it has
        their texts to read as well.
        """
        batch_size = self.batch_size or BATCHES[texts >= FEW]
        steps = -(-texts // batch_size)  # in an epoch
        fewest = FEWEST_PRETRAINED if self.pretrain and not self.teachers else FEWEST_EPOCHS
        enough = min(max(-(-STEPS // steps), fewest), MOST_EPOCHS)
        if self.parts == "joined" and words and not self.pretrain:
            enough = max(FEWEST_JOINED, min(enough, MOST_WORDS // words))
        return {"batch_size": batch_size, "epochs": self.epochs or enough}

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Config:
        """Return the options of a dict with all of them but `added_options`, and no others.

        Raises ValueError or TypeError if one is missing, unknown or not valid.
        """
        if not isinstance(value, Mapping):
            raise ValueError(f"the options are {value!r:.60}, expected an object")
        value = {**cls.added_options, **value}
        known = {item.name for item in fields(cls)}
        if known != set(value):
            raise ValueError(f"options missing or unknown: {sorted(known ^ set(value))}")
        return cls(**value)
