"""The report at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastlstm.counts import count_of
from fastlstm.printable import printable
from fastlstm.train.history import Epoch, History
from fastlstm.train.table import aligned, shown

HEAD = ("epoch", "train loss", "accuracy", "valid. loss", "accuracy", "seconds", "words/s")
TEXTS, PARTS = ("validation", "test"), ("net", "linear")  # in the names of accuracies


def epoch_table(history: History) -> str:
    """Return a line for each epoch; the best one, whose weights are kept, has a star."""
    rows = [HEAD, *(_row(epoch, epoch.epoch == history.best) for epoch in history.epochs)]
    return aligned(rows)


def summary(metrics: Mapping[str, Any], noun: str = "reviews") -> str:
    """Return the contents of ``metrics.json`` in words; `noun` is what the texts are called."""
    lines: list[tuple[str, str]] = []
    is_tested = metrics["test_accuracy"] is not None
    if is_tested:
        tested = f"{metrics['test_accuracy']:.2%} of {metrics[f'test_{noun}']:,} {noun}"
        lines += [("test accuracy", tested), ("test loss", f"{metrics['test_loss']:.4f}")]
    elif metrics["validation_accuracy"] is not None:
        lines.append(("validation", f"{metrics['validation_accuracy']:.2%}"))
    of_parts = [metrics.get(f"{part}_{TEXTS[is_tested]}_accuracy") for part in PARTS]
    if None not in of_parts:
        lines += [
            (f"{part} alone", f"{accuracy:.2%}")
            for part, accuracy in zip(PARTS, of_parts, strict=True)
        ]
    if "test_macro_f1" in metrics:
        lines.append(("test macro F1", f"{metrics['test_macro_f1']:.4f}"))
    if metrics["epochs"]:
        lines.append(("best epoch", f"{metrics['best_epoch']} of {metrics['epochs']}"))
    together = f"{metrics['processes']} processes of " if "processes" in metrics else ""
    lines += [
        (
            "training",
            f"{metrics['train_seconds']:.1f} s, {metrics['words_per_second']:,.0f} words/s, "
            f"{together}{count_of(metrics['threads'], 'thread')}, "
            f"{metrics['isa']}, {metrics['precision']}",
        ),
    ]
    if "pretrain_seconds" in metrics:
        told = (
            f"{metrics['pretrain_seconds']:.1f} s on {count_of(metrics['pretrain_texts'], 'text')}"
        )
        if metrics["pretrain_perplexity"] is not None:
            told += f", perplexity {metrics['pretrain_perplexity']:.1f}"
        lines.append(("pretraining", told))
    if "taught_texts" in metrics:
        texts = count_of(metrics["taught_texts"], "text")
        told = f"{metrics['teachers_seconds']:.1f} s, {texts} labelled"
        lines.append(("teachers", told))
    lines += [
        ("evaluation", f"{metrics['eval_seconds']:.1f} s"),
        ("parameters", f"{metrics['parameters']:,}"),
        ("data", printable(metrics["data"])),
    ]
    return "\n".join(f"{name:<14} {text}" for name, text in lines)


def _row(epoch: Epoch, best: bool) -> tuple[str, ...]:
    return (
        f"{'* ' if best else ''}{epoch.epoch}",
        f"{epoch.train_loss:.4f}",
        shown(epoch.train_accuracy, ".2%"),
        shown(epoch.validation_loss, ".4f"),
        shown(epoch.validation_accuracy, ".2%"),
        f"{epoch.seconds:.1f}",
        f"{epoch.words / epoch.seconds if epoch.seconds else 0:,.0f}",
    )
