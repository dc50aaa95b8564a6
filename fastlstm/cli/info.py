"""``fastlstm info``: what is in use here, or what a run is."""

from __future__ import annotations

import argparse
from typing import Any

from fastlstm.cli.options import add_json_option, print_json, rounded
from fastlstm.cli.parser import Parser
from fastlstm.counts import count_of
from fastlstm.printable import printable, say
from fastlstm.runtime import runtime_info, show_runtime
from fastlstm.text.tokenizer import UNITS
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.loaded_run import LoadedRun, RunRecord, load_run, read_record

SUMMARY = "tell what is in use, or what a run is"
EXAMPLES = """
fastlstm info
fastlstm info runs/reviews
"""
ABOUT = """\
Without RUN: version, backend, instruction set, threads and so on, as fastlstm.show_runtime().
"""


def add_options(parser: Parser) -> None:
    parser.add_argument("path", metavar="RUN", nargs="?", help="folder of a run")
    add_json_option(parser, "it")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    if options.path is None:
        if options.json:
            print_json(runtime_info())
        else:
            show_runtime()
        return 0
    record = read_record(options.path)
    loaded = load_run(options.path) if record.folder.model.exists() else None
    if options.json:
        print_json(_as_json(record, loaded))
    else:
        facts = _facts(record, loaded)
        width = max(map(len, facts))
        say("\n".join(f"{name:<{width}}  {printable(text)}" for name, text in facts.items()))
    return 0


def _as_json(record: RunRecord, loaded: LoadedRun | None) -> dict[str, Any]:
    return {
        "run": str(record.folder.path),
        "finished": record.metrics is not None,
        "epochs": len(record.epochs),
        "labels": loaded.labels if loaded else None,
        "analyzer": loaded.vocab.analyzer if loaded else record.config.analyzer,
        "words": len(loaded.vocab) if loaded else None,
        "parameters": loaded.parts.size if loaded else None,
        "shares": _shares(loaded) if loaded else None,
        "options": record.config.to_json(),
        "metrics": record.metrics,
    }


def _facts(record: RunRecord, loaded: LoadedRun | None) -> dict[str, str]:
    """Return what is printed about a run, by name."""
    config, metrics = record.config, record.metrics
    facts = {"run": str(record.folder.path), "state": _state(record)}
    facts["data"] = metrics["data"] if metrics is not None else config.data or "IMDB"
    if loaded is not None:
        facts["classes"] = f"{len(loaded.labels)}: {', '.join(loaded.labels)}"
        facts["words"] = f"{len(loaded.vocab):,}"
        facts["analyzer"] = f"{loaded.vocab.analyzer}: {UNITS[loaded.vocab.analyzer]}"
    if config.parts != "linear":
        facts["model"] = _model(config) if loaded or record.metrics is None else "none is kept"
    if loaded is not None:
        says = " and ".join(f"{name} {share:.2f}" for name, share in _shares(loaded).items())
        facts["parts"] = says
        facts["parameters"] = f"{loaded.parts.size:,}"
    if config.parts != "linear" and (loaded or metrics is None):
        facts |= _beginning(config)
        facts["training"] = _training(config)
    if metrics is not None:
        facts |= _results(metrics)
    return facts


def _state(record: RunRecord) -> str:
    if record.metrics is not None:
        return f"finished, by fastlstm {record.metrics.get('version', 'unknown')}"
    done = f"{len(record.epochs)} of {count_of(record.config.epochs, 'epoch')}"
    return f"unfinished, after {done}; --resume {record.folder.path} goes on"


def _model(config: Config) -> str:
    layers = count_of(config.num_layers, "layer")
    ways = "in both directions" if config.bidirectional else "in one direction"
    products = "" if config.precision == "float32" else f", products in {config.precision}"
    return (
        f"{config.embedding_dim}-dimensional word vectors, {config.cell.upper()} with {layers} of "
        f"{count_of(config.hidden_size, 'unit')} {ways}, {config.pooling} pooling, "
        f"{config.dtype}{products}"
    )


def _beginning(config: Config) -> dict[str, str]:
    """Return what the run began with, if not at random."""
    earlier = config.from_run
    if not config.has_vectors:
        return {}
    what = f"the run in {earlier}" if earlier else f"the word vectors of {config.vectors}"
    frozen = "; word vectors stay as they are" if config.freeze_vectors else ""
    return {"began with": what + frozen}


def _training(config: Config) -> str:
    ends = "the first" if config.truncate == "first" else "from both ends"
    read = f"{count_of(config.max_length, 'word')}, {ends}" if config.max_length else "all words"
    return (
        f"{config.optimizer}, learning rate {config.lr:g} ({config.schedule}), batches of "
        f"{config.batch_size}, up to {count_of(config.epochs, 'epoch')}, seed {config.seed}; of a "
        f"text {read}"
    )


def _shares(loaded: LoadedRun) -> dict[str, float]:
    """Return which part of a prediction is the net's and the linear part's."""
    join = loaded.parts.join
    if join is None:
        return {"net": 1.0}
    shares = {"net": join.net_share, "linear": 1 - join.net_share}
    return {name: rounded(share) for name, share in shares.items()}


def _results(metrics: dict[str, Any]) -> dict[str, str]:
    found = {}
    for part in ("test", "validation"):
        accuracy, loss = metrics.get(f"{part}_accuracy"), metrics.get(f"{part}_loss")
        if accuracy is not None:
            found[part] = f"accuracy {accuracy:.2%}"
            found[part] += f", loss {loss:.4f}" if loss is not None else ""
        for name in ("net", "linear"):
            alone = metrics.get(f"{name}_{part}_accuracy")
            if part in found and alone is not None:
                found[part] += f"; {name} alone {alone:.2%}"
    if "test" in found and metrics.get("test_macro_f1") is not None:
        found["test"] += f", macro F1 {metrics['test_macro_f1']:.4f}"
    if metrics.get("epochs"):
        found["time"] = (
            f"{metrics['train_seconds']:.1f} s for {count_of(metrics['epochs'], 'epoch')}, best "
            f"{metrics['best_epoch']}; {metrics['words_per_second']:,.0f} words/s"
        )
    return found
