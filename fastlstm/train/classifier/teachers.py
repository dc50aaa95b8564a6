"""Self-training: several nets label texts, and another net learns from these labels.

Yarowsky 1995, "Unsupervised word sense disambiguation rivaling supervised methods"; with
probabilities for labels, as in Hinton et al. 2015, "Distilling the knowledge in a neural network".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastlstm.printable import say
from fastlstm.text import Encoded
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.predict import predict_log_probabilities
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.model_file import load_model
from fastlstm.train.seeds import TEACHERS, generator

Teach = Callable[[Config, RunFolder, Dataset], object]


def learn_from_teachers(
    config: Config, data: Dataset, folder: RunFolder, teach: Teach, *, resume: bool = False
) -> tuple[Dataset, dict[str, Any]]:
    """Return training texts of which teachers labelled a part, and the teachers' metrics.

    The teachers, ``config.teachers`` in number, differ in their seeds only. They learn from the
    labelled texts of two classes, without pretraining. Their mean logits for the unlabelled texts
    are the logits to learn. `teach` trains one, or goes on with it, as a run in a sub-folder; with
    `resume` a finished one is used as it is.
    """
    assert data.unlabelled is not None
    assert data.num_outputs == 1
    texts = data.unlabelled.truncate(config.max_length, keep=config.truncate)
    texts = texts.select(texts.lengths > 0)
    logits, seconds = np.zeros(len(texts)), 0.0
    known = replace(data, test=None, unlabelled=None)
    for number in range(1, config.teachers + 1):
        part = RunFolder(folder.path / f"teacher-{number}")
        say(f"\nteacher {number} of {config.teachers}, in {part.path}", flush=True)
        if not (resume and part.finished):
            seed = int(generator(config.seed, TEACHERS, number).integers(2**31))
            teach(replace(config, pretrain=False, seed=seed), part, known)
        teacher = load_model(part.model)
        teacher.set_precision(config.precision)
        said = predict_log_probabilities(teacher, texts)
        logits += (said[:, 1] - said[:, 0]) / config.teachers
        seconds += part.read_metrics()["train_seconds"]
    say(f"\n{len(texts):,} {data.noun} without a label have one of their teachers' now")
    taught = Encoded(texts.tokens, texts.offsets, (logits > 0).astype(np.int64))
    targets = np.concatenate([data.train.labels, 1 / (1 + np.exp(-logits))])
    everything = Encoded.concatenate([data.train, taught])
    metrics = {"taught_texts": len(texts), "teachers_seconds": seconds}
    return replace(data, train=everything, targets=targets), metrics
