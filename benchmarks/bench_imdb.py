"""Train the same IMDB classifier on the same batches in fastlstm and in torch, taking turns.

    python -m benchmarks.bench_imdb [--packed] [--steps 60] [--rounds 3] [--out build/imdb]

Both start from the same weights; batches are cut and padded before the clock starts. First the
logits and all gradients of the first batch are compared, and nothing is timed if they differ.
Writes imdb.json and imdb.md: time of an epoch, accuracy, and how far the loss curves are apart.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, report
from benchmarks.imdb import IMDB_SIDES, OPTIMIZERS, Settings
from benchmarks.rounds import in_turn, say
from benchmarks.timing import quartiles
from benchmarks.worker import ask

# So many first steps are compared apart: later ones add up rounding and, with Adam, what its
# row-sparse form leaves out.
FIRST_STEPS = 20
# Left out where an epoch is estimated from a few steps: libraries make their plans in them.
WARM_UP = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison that the options ask for; 1 if the sides disagree from the start."""
    options = _parse(argv)
    settings = Settings(**{f.name: getattr(options, f.name) for f in fields(Settings)})
    sides = [side for side in IMDB_SIDES if options.packed or side != "torch packed"]
    described = machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        source, words = _prepare(Path(folder), options.data, settings)
        task = {"folder": folder, "settings": asdict(settings), "threads": options.threads}
        environment = machine.environment(options.threads)
        difference = ask("imdb_check", environment, **task)
        if "mismatch" in difference:
            say(f"not timed, as the sides differ: {difference['mismatch']}")
            return 1
        runs: dict[str, list[Any]] = {side: [] for side in sides}
        for number in range(options.rounds):
            for side in in_turn(number, sides):
                runs[side].append(ask("imdb_train", environment, side=side, **task))
                say(f"round {number + 1} of {options.rounds}, {side}: {_progress(runs[side][-1])}")
    result = {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": described,
        "threads": options.threads,
        "settings": asdict(settings),
        "data": source,
        "words_per_epoch": words,
        "max_difference_at_start": difference,
        "sides": {side: summarise(found, runs["fastlstm"]) for side, found in runs.items()},
    }
    _write(result, options)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench_imdb", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", help="as train_imdb's: archive, folder, CSV, npz or 'sample'")
    parser.add_argument("--packed", action="store_true", help="torch's PackedSequence as well")
    parser.add_argument("--rounds", type=int, default=1, help="processes of each side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/imdb"), help="folder")
    parser.add_argument("--readme", type=Path, help="file to put the table into, between markers")
    for field in fields(Settings):
        name = "--" + field.name.replace("_", "-")
        choices = OPTIMIZERS if field.name == "optimizer" else None
        parser.add_argument(name, type=type(field.default), default=field.default, choices=choices)
    options = parser.parse_args(argv)
    for name in ("rounds", "threads", "epochs"):
        if getattr(options, name) < 1:
            parser.error(f"argument --{name}: {getattr(options, name)} is not positive")
    return options


def _prepare(folder: Path, data: str | None, settings: Settings) -> tuple[str, int]:
    """Write texts and first weights for the workers; return the source and words an epoch."""
    from fastlstm import TextClassifier
    from fastlstm.text import load_imdb

    reviews = load_imdb(data, vocab_size=settings.vocab_size)
    say(reviews.source)
    for name, part in (("train", reviews.train), ("test", reviews.test)):
        cut = part.select(part.lengths > 0).truncate(settings.max_length)
        np.savez(folder / name, tokens=cut.tokens, offsets=cut.offsets, labels=cut.labels)
    sizes = (settings.vocab_size, settings.embedding_dim, settings.hidden_size)
    model = TextClassifier(*sizes, rng=np.random.default_rng(settings.seed))
    np.savez(folder / "weights", **model.state_dict())
    words = reviews.train.truncate(settings.max_length).lengths.sum()
    return reviews.source, int(words)


def summarise(runs: list[Any], fastlstm: list[Any]) -> dict[str, Any]:
    """Return a side's figures: runs, the seconds of an epoch and the distance of the loss curves.

    An epoch cut short by `steps` counts for the whole one, at the mean time of a step.
    """
    per_epoch = runs[0]["steps_per_epoch"]
    epochs = [ms for run in runs for ms in run["step_ms"]]
    estimated = len(epochs[0]) < per_epoch
    if estimated:
        epochs = [ms[WARM_UP:] or ms for ms in epochs]
    seconds = [statistics.mean(ms) * per_epoch / 1e3 for ms in epochs]
    low, middle, high = quartiles(seconds)
    losses, others = runs[0]["losses"], fastlstm[0]["losses"]
    apart = np.abs(np.subtract(losses, others))
    tail = max(1, len(losses) // 10)
    return {
        "epoch_seconds": middle,
        "epoch_seconds_quartiles": [low, high],
        "estimated": estimated,
        "accuracy": runs[0]["accuracy"],
        "final_loss": statistics.mean(losses[-tail:]),
        "largest_loss_difference": {
            "first_steps": float(apart[:FIRST_STEPS].max()),
            "all": float(apart.max()),
        },
        "peak_memory_mb": statistics.median(run["peak_memory_mb"] for run in runs),
        "runs": runs,
    }


def markdown(result: dict[str, Any]) -> str:
    """Return the table, and below it what was measured on."""
    fast = result["sides"]["fastlstm"]["epoch_seconds"]
    lines = [
        "| side | s an epoch (quartiles) | ratio | words a second | test accuracy by epoch "
        "| loss at the end | loss apart from fastlstm's, first steps / all | memory MB |",
        "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for name, side in result["sides"].items():
        low, high = side["epoch_seconds_quartiles"]
        apart = side["largest_loss_difference"]
        accuracy = ", ".join(f"{100 * value:.1f} %" for value in side["accuracy"]) or "-"
        lines.append(
            f"| {name} | {side['epoch_seconds']:.2f} ({low:.2f} to {high:.2f}) "
            f"| {side['epoch_seconds'] / fast:.2f} "
            f"| {result['words_per_epoch'] / side['epoch_seconds']:,.0f} | {accuracy} "
            f"| {side['final_loss']:.4f} | {apart['first_steps']:.1e} / {apart['all']:.1e} "
            f"| {side['peak_memory_mb']:.0f} |"
        )
    return "\n".join([*lines, "", _footnote(result), ""])


def _footnote(result: dict[str, Any]) -> str:
    s, where = result["settings"], result["machine"]
    cut = f"estimated from {s['steps']} steps, " if s["steps"] else ""
    return (
        f"Time of the training steps alone, {cut}in separate processes taking turns. Vocabulary "
        f"{s['vocab_size']:,}, embedding {s['embedding_dim']}, hidden {s['hidden_size']}, first "
        f"{s['max_length']} words, batches of {s['batch_size']}, {s['optimizer']}, learning rate "
        f"{s['lr']:g}, float32, threads: {result['threads']}; torch with denormals flushed. The "
        f"loss curves come from the same weights and batches; fastlstm's Adam is row-sparse in "
        f"the embedding, torch's dense. {result['data']}. {where['cpu']}, {where['cores']} cores, "
        f"load {where['load']} before; commit {where['commit']}, {result['time'][:10]}."
    )


def _write(result: dict[str, Any], options: argparse.Namespace) -> None:
    text = markdown(result)
    options.out.mkdir(parents=True, exist_ok=True)
    report.write_text(options.out / "imdb.json", json.dumps(result, indent=1) + "\n")
    report.write_text(options.out / "imdb.md", text)
    if options.readme:
        report.splice(options.readme, "imdb", text)
    print(text)


def _progress(run: dict[str, Any]) -> str:
    mean = statistics.mean(run["step_ms"][-1])
    accuracy = f", accuracy {run['accuracy'][-1]:.4f}" if run["accuracy"] else ""
    return f"{mean:.2f} ms a step, last loss {run['losses'][-1]:.4f}{accuracy}"


if __name__ == "__main__":
    sys.exit(main())
