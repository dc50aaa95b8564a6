"""Mentions in sentences, with a CRF and without: ``python -m fastlstm.examples.tagger``.

A label for each word says where a mention begins (B-) and goes on (I-), and of what kind it is. A
net that reads in one direction cannot know a word's label before it has read what follows. A CRF
chooses the labels of a sentence together, so that the last word of a mention decides on the first;
it also never says what no example shows, such as I- of one kind behind B- of another.

The sentences are made up: see `fastlstm.examples.mentions`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.examples.mentions import LABELS, Sentence, make_sentences
from fastlstm.examples.options import add_plot, add_threads, check_least, threaded
from fastlstm.models import SequenceTagger
from fastlstm.plotting import LINE, LOW, new_figure, save_png
from fastlstm.printable import say
from fastlstm.text import Vocabulary
from fastlstm.text.vocabulary import SPECIAL
from fastlstm.train.optim import Adam
from fastlstm.train.progress import Progress
from fastlstm.train.schedule import linear
from fastlstm.train.scoring.spans import SpanScores, span_scores
from fastlstm.train.tasks.tagging import Tagging
from fastlstm.train.trainer import Trainer

Arrays = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


class Result(NamedTuple):
    """A trained tagger and how it does."""

    model: SequenceTagger
    accuracy: float
    spans: SpanScores
    seconds: float


def numbered(sentence: Sequence[str], words: Vocabulary) -> list[int]:
    """Return the ids of words."""
    return [words.id(word) for word in sentence]


def encode(sentences: Sequence[Sentence], words: Vocabulary) -> Arrays:
    """Return tokens [N,T], labels [N,T] and lengths [N]; zeros behind each sentence."""
    lengths = np.array([len(sentence.words) for sentence in sentences])
    tokens, labels = np.zeros((2, len(sentences), lengths.max()), np.int64)
    number = {label: k for k, label in enumerate(LABELS)}
    for n, sentence in enumerate(sentences):
        tokens[n, : lengths[n]] = numbered(sentence.words, words)
        labels[n, : lengths[n]] = [number[label] for label in sentence.labels]
    return tokens, labels, lengths


def named(labels: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[list[str]]:
    """Return the labels of each row by name."""
    return [[LABELS[k] for k in row[:n]] for row, n in zip(labels, lengths, strict=True)]


def train(data: Arrays, size: int, options: argparse.Namespace, **kind: Any) -> SequenceTagger:
    """Return a tagger that has learned."""
    model = SequenceTagger(
        len(LABELS), options.hidden_size, vocab_size=size, embedding_dim=32, dropout=0.1,
        rng=options.seed, **kind,
    )  # fmt: skip
    trainer = Trainer(
        model, Adam(model, lr=0.01), Tagging(seed=options.seed), epochs=options.epochs,
        schedule=linear, clip=1.0, seed=options.seed, listeners=[Progress(sys.stderr.isatty())],
    )  # fmt: skip
    trainer.fit(*trainer.task.source(model, data))
    return model


def measured(model: SequenceTagger, data: Arrays, seconds: float) -> Result:
    """Return the share of right labels, and the mentions found."""
    tokens, labels, lengths = data
    found = model.predict(tokens, lengths)
    real = np.arange(labels.shape[1]) < lengths[:, None]
    scores = span_scores(named(labels, lengths), named(found, lengths))
    return Result(model, float((found == labels)[real].mean()), scores, seconds)


def show(model: SequenceTagger, text: str, words: Vocabulary) -> None:
    """Print a sentence with the labels that the model gives."""
    split = text.split()
    found = model.predict(np.array([numbered(split, words)]))[0]
    say(" ".join(f"{word}/{LABELS[k]}" for word, k in zip(split, found, strict=True)))


def draw_pairs(path: Path, between: Any) -> None:
    """Draw what a CRF has learned of labels that follow one another."""
    figure = new_figure(6.4, 5.4)
    axes = figure.subplots()
    from matplotlib.colors import LinearSegmentedColormap

    most = float(np.abs(between).max()) or 1.0
    colours = LinearSegmentedColormap.from_list("scores", [LOW, "white", LINE])
    image = axes.imshow(between, cmap=colours, vmin=-most, vmax=most)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=90, fontsize=8)
    axes.set_yticks(range(len(LABELS)), LABELS, fontsize=8)
    axes.set(xlabel="label of the next word", ylabel="label of a word")
    axes.set_title("score of one label after another", loc="left", fontsize=11)
    figure.colorbar(image, shrink=0.7)
    save_png(path, figure)


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.tagger",
        description="Learn mentions in sentences, with a CRF and without.",
    )
    add = parser.add_argument
    add("text", nargs="?", default="Fox Hill Hotel wrote to Grant Lane near Marsh on Sea",
        help="a sentence to label after the training, its words apart")  # fmt: skip
    add("--sentences", type=int, default=1500, help="to learn from (default: 1500)")
    add("--hidden-size", type=int, default=32, help="units in each direction (default: 32)")
    add("--epochs", type=int, default=6, help="default: 6")
    add("--seed", type=int, default=0, help="of the sentences and the training (default: 0)")
    add_plot(parser, "the scores of neighbouring labels")
    add_threads(parser, default=1)
    options = parser.parse_args(arguments)
    check_least(parser, options, sentences=1, hidden_size=1, epochs=1, seed=0)
    if not options.text.split():
        parser.error("the sentence to label has no words")
    return options


def run(options: argparse.Namespace) -> None:
    """Train four taggers and test them on other sentences; the last line printed is JSON."""
    if options.plot and find_spec("matplotlib") is None:
        raise ImportError("--plot needs matplotlib: pip install 'fastlstm[plot]'")
    learned = make_sentences(options.sentences, options.seed)
    tested = make_sentences(500, options.seed + 1)
    words = Vocabulary([*SPECIAL, *sorted({word for one in learned for word in one.words})])
    data, test = encode(learned, words), encode(tested, words)
    results: dict[str, Result] = {}
    for directions in (1, 2):
        for layer in ("softmax", "crf"):
            start = time.perf_counter()
            kind = {"bidirectional": directions == 2, "crf": layer == "crf"}
            model = train(data, len(words), options, **kind)
            name = f"{layer}_{directions}"
            results[name] = measured(model, test, time.perf_counter() - start)
    print("\ndirections  top      labels right  mentions F1  seconds")
    for name, one in results.items():
        layer, _, number = name.partition("_")
        told = f"{one.accuracy:>12.1%}  {one.spans.f1 or 0:>11.1%}  {one.seconds:>7.1f}"
        print(f"{number:<10}  {layer:<7}  {told}")
    print()
    for name in ("softmax_1", "crf_1"):
        show(results[name].model, options.text, words)
    best = results["crf_2"].model.crf
    if options.plot and best is not None:
        draw_pairs(options.plot, best.between.data)
    figures = {
        f"{name}_{what}": round(value, 4)
        for name, one in results.items()
        for what, value in (("accuracy", one.accuracy), ("f1", one.spans.f1 or 0.0))
    }
    print(json.dumps({"sentences": len(learned), "tested": len(tested), **figures}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 1 if the picture cannot be drawn."""
    options = read_options(arguments)
    return exit_status("tagger", lambda: threaded(run, options))


if __name__ == "__main__":
    raise SystemExit(main())
