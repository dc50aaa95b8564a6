"""Translate sentences: an LSTM encoder-decoder with attention, greedy and beam search.

Without data it learns the little French of a generated grammar. With your own::

    python -m fastlstm.examples.translate --data fra.txt --max-words 10 --out runs/fra
    python -m fastlstm.examples.translate --data multi30k --out runs/de-en
    python -m fastlstm.examples.translate --out runs/de-en --sentence "zwei hunde spielen ."

A file holds a pair in each line, a tab between; a folder is one of Multi30k, cut into tokens
and in lower case: its BLEU counts these tokens. BLEU needs ``pip install 'fastlstm[translate]'``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.counts import count_of
from fastlstm.examples import toy_french
from fastlstm.examples.options import add_precision, add_threads, check_least, threaded
from fastlstm.files.naming import named_path
from fastlstm.printable import json_line, say
from fastlstm.text.pair_files import ParallelText, read_folder, read_pairs, split_pairs
from fastlstm.text.pairs import Pair, words_and_marks
from fastlstm.train.progress import Progress
from fastlstm.train.scoring.bleu import bleu
from fastlstm.train.seeds import DATA, generator
from fastlstm.train.seq2seq import MODEL, Translator, learn

# For the generated sentences; the defaults below are for tens of thousands of real ones.
TOY = {"epochs": 4, "batch_size": 32, "embedding_dim": 32, "hidden_size": 128, "lr": 0.01,
       "dropout": 0.1, "average": 0.0, "min_count": 1}  # fmt: skip
FREE = (
    "data",
    "out",
    "threads",
    "sentence",
    "beam",
    "alpha",
    "precision",  # `learn` holds on to it itself
    "test_precision",
)  # on what data holds, not where it lies


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    raw, name = argparse.RawDescriptionHelpFormatter, "python -m fastlstm.examples.translate"
    parser = ProgramParser(name, description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("--data", type=named_path,
        help="a file of pairs or a folder; without it sentences are generated")  # fmt: skip
    add("--source", default="de", help="language of a folder to translate from (default: de)")
    add("--target", default="en", help="language of a folder to translate to (default: en)")
    add("--max-words", type=int, default=0, help="leave out pairs with a longer side; 0: none")
    add("--limit", type=int, default=0, help="train on the first pairs only; 0: on all")
    add("--min-count", type=int, default=2, help="rarer words are unknown (default: 2)")
    add("--epochs", type=int, default=12)
    add("--batch-size", type=int, default=64)
    add("--embedding-dim", type=int, default=256, help="size of a word vector (default: 256)")
    add("--hidden-size", type=int, default=512, help="units of each side (default: 512)")
    add("--num-layers", type=int, default=1)
    add("--dropout", type=float, default=0.4, help="half of it for word vectors (default: 0.4)")
    add("--label-smoothing", type=float, default=0.1)
    add("--lr", type=float, default=5e-3, help="falls in a line to 0 (default: 0.005)")
    add("--average", type=float, default=0.998, help="decay of the averaged weights; 0: none")
    add("--no-attention", action="store_true")
    add("--beam", type=int, default=5)
    add("--alpha", type=float, default=1.0, help="length penalty; 0: none (default: 1)")
    add("--out", type=named_path,
        help="folder to keep the model in; a finished one is not trained again")  # fmt: skip
    add("--sentence", action="append", default=[], metavar="TEXT", help="translate it afterwards")
    add("--seed", type=int, default=0)
    add_precision(parser)
    add_threads(parser)
    if parser.parse_args(arguments).data is None:
        parser.set_defaults(**TOY)
    options = parser.parse_args(arguments)
    check_least(parser, options, limit=0, max_words=0, seed=0)  # a negative limit cuts off the end
    return options


def load(options: argparse.Namespace) -> ParallelText:
    """Read the data, or generate it."""
    if options.data is None:
        return split_pairs(toy_french.draw(6000, generator(options.seed, DATA)), options.seed)
    if options.data.is_dir():
        return read_folder(options.data, options.source, options.target, options.max_words)
    return split_pairs(read_pairs(options.data, options.max_words), options.seed)


def train(options: argparse.Namespace, text: ParallelText) -> Translator:
    """Train a new model, or go on where that of the folder was interrupted."""
    pairs = text.train[: options.limit or None]
    print(f"{count_of(len(pairs), 'pair')} to train on, {len(text.test):,} to test on", flush=True)
    model_options = {
        "embedding_dim": options.embedding_dim, "hidden_size": options.hidden_size,
        "num_layers": options.num_layers, "attention": not options.no_attention,
        "tied": not options.no_attention, "dropout": options.dropout,
        "embedding_dropout": options.dropout / 2,
    }  # fmt: skip
    return learn(
        pairs, text.validation, model_options, min_count=options.min_count, seed=options.seed,
        folder=options.out, identity={k: v for k, v in vars(options).items() if k not in FREE},
        epochs=options.epochs, batch_size=options.batch_size, lr=options.lr,
        label_smoothing=options.label_smoothing, average=options.average,
        precision=options.precision,
        listeners=[Progress(sys.stderr.isatty())],
    )  # fmt: skip


def examine(translator: Translator, pairs: list[Pair], beam: dict[str, Any]) -> dict[str, Any]:
    """Translate the test pairs, print some, and return the figures."""
    sources, references = [p[0] for p in pairs], [list(p[1]) for p in pairs]
    start = time.perf_counter()
    found = {"greedy": translator(sources, beam_size=1), "beam": translator(sources, **beam)}
    figures: dict[str, Any] = {"search_seconds": round(time.perf_counter() - start, 1)}
    for i in range(min(5, len(pairs))):
        lines = {"source": sources[i], "reference": references[i]}
        lines.update((name, translations[i]) for name, translations in found.items())
        say("\n" + "\n".join(f"{name:10} {' '.join(words)}" for name, words in lines.items()))
    same = [a == b for a, b in zip(found["beam"], references, strict=True)]
    figures["exact"] = sum(same) / len(same)
    try:
        scores = {name: bleu(translations, references) for name, translations in found.items()}
        figures.update({f"bleu_{name}": round(score, 2) for name, (score, _) in scores.items()})
        figures["signature"] = scores["beam"][1]
    except ImportError as error:
        print(f"\nno BLEU: {error}")
    return {**figures, "test_pairs": len(pairs)}


def run(options: argparse.Namespace) -> None:
    """Do what the options say."""
    beam = {"beam_size": options.beam, "alpha": options.alpha}
    figures: dict[str, Any] = {**beam, "seed": options.seed}
    precision = figures["test_precision"] = options.test_precision or options.precision
    if options.sentence and options.out and (options.out / MODEL).exists():
        translator = Translator.load(options.out / MODEL)
        translator.model.set_precision(precision)
    else:
        text, start = load(options), time.perf_counter()
        translator = train(options, text)
        figures["train_seconds"] = round(time.perf_counter() - start, 1)
        translator.model.set_precision(precision)
        figures.update(examine(translator, text.test, beam))
    texts = [words_and_marks(sentence) for sentence in options.sentence]
    figures["translations"] = [" ".join(words) for words in translator(texts, **beam)]
    say("\n".join(["", *figures["translations"]]))
    print(json_line(figures))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    options = parse(arguments)

    def work() -> None:
        try:
            threaded(run, options)
        except KeyboardInterrupt as interrupt:
            if options.out:
                interrupt.args = (f"{str(interrupt) or 'interrupted'}; run it again to go on",)
            raise

    return exit_status("translate", work)


if __name__ == "__main__":
    raise SystemExit(main())
