"""Self-training: several nets label texts, and another net learns from these labels.

Yarowsky 1995, "Unsupervised word sense disambiguation rivaling supervised methods"; with
probabilities for labels, as in Hinton et al. 2015, "Distilling the knowledge in a neural network".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastlstm.models import TextClassifier
from fastlstm.nn.module import Array
from fastlstm.printable import say
from fastlstm.text import Encoded
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.joining import heard_texts
from fastlstm.train.classifier.linear_part import LinearPart
from fastlstm.train.classifier.predict import predict_logits
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.start import Start
from fastlstm.train.metrics import count_correct
from fastlstm.train.model_file import load_model
from fastlstm.train.seeds import TEACHERS, generator

Teach = Callable[[Config, RunFolder, Dataset], object]


def learn_from_teachers(
    config: Config, data: Dataset, folder: RunFolder, start: Start, teach: Teach,
    linear: LinearPart | None = None, *, resume: bool = False,
) -> tuple[Dataset, dict[str, Any]]:  # fmt: skip
    """Return training texts of which teachers labelled a part, and the teachers' metrics.

    The teachers, ``config.teachers`` nets, begin with `start`, learn from the labelled texts of two
    classes and differ in their seeds only. Their mean logits for the unlabelled texts, joined to
    those of a `linear` part, are the logits to learn. `teach` trains one, or goes on with it, as a
    run in a sub-folder; with `resume` a finished one is used as it is.
    """
    assert data.num_outputs == 1
    known, nets, seconds = replace(data, test=None, unlabelled=None, start=start), [], 0.0
    for number in range(1, config.teachers + 1):
        part = RunFolder(folder.path / f"teacher-{number}")
        say(f"\nteacher {number} of {config.teachers}, in {part.path}", flush=True)
        if not (resume and part.finished):
            seed = int(generator(config.seed, TEACHERS, number).integers(2**31))
            teach(replace(config, pretrain=False, parts="net", seed=seed), part, known)
        nets.append(load_model(part.model))
        nets[-1].set_precision(config.precision)
        seconds += part.read_metrics()["train_seconds"]
    learned, metrics = _labelled_by(nets, linear, data, config)
    return learned, {**metrics, "teachers_seconds": seconds}


def _labelled_by(
    nets: list[TextClassifier], linear: LinearPart | None, data: Dataset, config: Config
) -> tuple[Dataset, dict[str, Any]]:
    """Return the training texts and those without a label, with what the nets and `linear` say."""
    assert data.unlabelled is not None
    texts = data.unlabelled.truncate(config.max_length, keep=config.truncate)
    (there,) = np.nonzero(texts.lengths)
    texts, metrics = texts.select(there), dict[str, Any]()
    logits, told = _mean_logits(nets, texts).astype(np.float64), ""
    if linear is not None:
        assert data.whole is not None
        heard = _mean_logits(nets, heard_texts(linear, data))
        join = linear.join(heard)
        logits = join.logits(logits, linear.model.logits(data.whole.of("unlabelled").select(there)))
        if data.validation is not None:
            right = count_correct(join.logits(heard, linear.logits), linear.labels)
            metrics["teachers_validation_accuracy"] = right / len(heard)
            told = f": with the linear part they say {right / len(heard):.2%} of validation right"
    say(f"\n{len(texts):,} {data.noun} without a label have one of their teachers' now{told}")
    taught = Encoded(texts.tokens, texts.offsets, (logits > 0).astype(np.int64))
    targets = np.concatenate([data.train.labels, 1 / (1 + np.exp(-logits))])
    everything = Encoded.concatenate([data.train, taught])
    return replace(data, train=everything, targets=targets), {**metrics, "taught_texts": len(texts)}


def _mean_logits(nets: list[TextClassifier], texts: Encoded) -> Array:
    """Return what nets say of texts on average, [N]."""
    mean: Array = np.mean([predict_logits(net, texts) for net in nets], axis=0)
    return mean
