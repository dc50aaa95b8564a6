"""The language of a surname, read by a GRU: ``python -m fastlstm.examples.names NAME ...``.

The task of a well-known tutorial: 18 languages, a file of surnames for each. There the names to
measure on are the ones learned from; here a tenth of each language is held back. Files may repeat
names (the tutorial's 2,000 Arabic lines are 108 names), so each pair of name and language counts
once and lies on one side only. A name of two languages may lie on both, with another answer.

Without ``--data`` the names are made up: see `fastlstm.examples.surnames`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.counts import count_of
from fastlstm.examples.options import add_plot, add_precision, add_threads, check_least, threaded
from fastlstm.examples.surnames import (
    NamesError,
    encode,
    make_names,
    read_names,
    split,
    to_ascii,
)
from fastlstm.files.naming import named_path
from fastlstm.models import TextClassifier
from fastlstm.nn.losses import cross_entropy, log_softmax
from fastlstm.nn.module import Array
from fastlstm.printable import say
from fastlstm.text import Encoded, Vocabulary, batches
from fastlstm.text.vocabulary import SPECIAL
from fastlstm.text.words import compose
from fastlstm.train.classifier.class_weight import ClassWeightedLoss
from fastlstm.train.optim import Adam
from fastlstm.train.progress import Progress
from fastlstm.train.schedule import linear
from fastlstm.train.scoring.confusion import confusion_matrix, draw_confusion, recalls
from fastlstm.train.tasks.task import shuffled
from fastlstm.train.trainer import Trainer

BATCH = 64


def train(data: Encoded, letters: Vocabulary, options: argparse.Namespace) -> TextClassifier:
    """Return a trained GRU in two directions over letters."""
    counts = np.bincount(data.labels)
    model = TextClassifier(
        len(letters), 64, options.hidden_size, bidirectional=True, pooling="mean+max", dropout=0.3,
        cell="gru", num_outputs=len(counts), rng=np.random.default_rng(options.seed),
    )  # fmt: skip
    model.set_precision(options.precision)
    loss = ClassWeightedLoss(counts**-options.balance) if options.balance else cross_entropy
    trainer = Trainer(
        model, Adam(model, lr=5e-3), loss, epochs=options.epochs, schedule=linear, clip=1.0,
        seed=options.seed, listeners=[Progress(sys.stderr.isatty())],
    )  # fmt: skip
    trainer.fit(*shuffled(batches, data, BATCH, options.seed))
    return model


def predict(model: TextClassifier, data: Encoded) -> Array:
    """Return the logits [N, languages]."""
    logits = np.empty((len(data), model.num_outputs))
    for batch in batches(data, 256):
        logits[batch.index] = model(batch.tokens, batch.lengths)
    return logits


def written(name: str, write: Callable[[str], str]) -> str:
    """Return a name as it is read; NamesError if nothing of it is left."""
    text = write(name).strip()
    if not text:
        hint = " of ASCII: --unicode keeps others" if name.strip() else ""
        raise NamesError(f"the name {name!r} has no letters{hint}")
    return text


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.names", description="Learn the languages of surnames."
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="names to classify after the training")
    add("--data", type=named_path, metavar="FOLDER",
        help="LANGUAGE.txt files; default: made-up names")  # fmt: skip
    add("--balance", type=float, nargs="?", const=1.0, default=0.0, metavar="POWER",
        help="weight a language by its number of names to the power of -POWER (1 if not given): "
        "better macro, worse micro accuracy (default: 0, no weights)")  # fmt: skip
    add("--unicode", action="store_true", help="keep accents (default: ASCII, as the tutorial)")
    add_plot(parser, "the confusion matrix")
    add_precision(parser)
    add_threads(parser)
    add("--hidden-size", type=int, default=128, help="units in each direction (default: 128)")
    add("--epochs", type=int, default=15, help="default: 15")
    add("--seed", type=int, default=0, help="of the split and the training (default: 0)")
    options = parser.parse_args(arguments)
    check_least(parser, options, balance=0, hidden_size=1, epochs=1, seed=0)
    return options


def report(counts: NDArray[np.int64], languages: Sequence[str]) -> None:
    """Print for each language how many names are right and what most others are taken for."""
    print(f"\n{'language':<12} tested  right  most often taken for")
    for row, language in enumerate(languages):
        others = np.where(np.arange(len(counts)) == row, 0, counts[row])
        top = int(others.argmax())
        taken = f"{languages[top]} ({others[top]})" if others[top] else "-"
        found = counts[row, row] / counts[row].sum()
        say(f"{language:<12} {counts[row].sum():>6} {found:>6.0%}  {taken}")
    print()


def run(options: argparse.Namespace) -> None:
    """Train on nine names of ten and test on the tenth; the last line printed is JSON."""
    if options.plot and find_spec("matplotlib") is None:
        raise ImportError("--plot needs matplotlib: pip install 'fastlstm[plot]'")
    write = compose if options.unicode else to_ascii
    asked = [(name, written(name, write)) for name in options.names]  # before the training
    names = read_names(options.data, write) if options.data else make_names()
    if not options.data:
        print("These names are made up; --data reads real ones from a folder of files.\n")
    learned, tested = split(names, options.seed)
    letters = Vocabulary([*SPECIAL, *sorted(set("".join(map("".join, learned.values()))))])
    start = time.perf_counter()
    model = train(encode(learned, letters), letters, options)
    seconds = time.perf_counter() - start
    model.set_precision(options.test_precision or options.precision)
    test, languages = encode(tested, letters), list(names)
    predicted = predict(model, test).argmax(axis=1)
    counts = confusion_matrix(test.labels, predicted, len(languages))
    micro, macro = np.trace(counts) / counts.sum(), recalls(counts).mean()
    report(counts, languages)
    if options.plot:
        title = (
            f"languages of {count_of(len(test), 'surname')}: micro {micro:.1%}, macro {macro:.1%}"
        )
        draw_confusion(options.plot, counts, languages, title)
    for name, text in asked:
        (logits,) = predict(model, encode({"?": [text]}, letters))
        p = np.exp(log_softmax(logits))
        best = [f"{languages[i]} {p[i]:.0%}" for i in np.argsort(-p)[:3]]
        say(f"{name}: {', '.join(best)}")
    sizes = {"languages": len(names), "names": sum(map(len, names.values())), "tested": len(test)}
    figures = {"micro_accuracy": float(micro), "macro_accuracy": float(macro), "seconds": seconds}
    print(json.dumps({**sizes, **{name: round(value, 4) for name, value in figures.items()}}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 1 if names cannot be read, nothing is learned or the picture cannot be drawn."""
    options = read_options(arguments)
    return exit_status("names", lambda: threaded(run, options))


if __name__ == "__main__":
    raise SystemExit(main())
