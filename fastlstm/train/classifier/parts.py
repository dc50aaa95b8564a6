"""What classifies in a run: a net, a linear part, or both joined; and their file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.linear import BagOfNgrams, TokenRows
from fastlstm.linear.saving import MOST
from fastlstm.models import TextClassifier
from fastlstm.models.joined import Join
from fastlstm.nn.module import Array
from fastlstm.text import Encoded
from fastlstm.train import checkpoint
from fastlstm.train.classifier.predict import predict_logits
from fastlstm.train.model_file import KIND, LINEAR, build_model, save_model
from fastlstm.train.record import record


@dataclass(frozen=True, eq=False)
class Parts:
    """A net, a linear part, or both; `join` says how much each says if there is a linear one."""

    net: TextClassifier | None
    linear: BagOfNgrams | None = None
    join: Join | None = None

    @property
    def num_outputs(self) -> int:
        """Logits of a text: one for two classes, else one for each."""
        if self.net is not None:
            return self.net.num_outputs
        assert self.linear is not None
        return outputs_of(self.linear)

    @property
    def size(self) -> int:
        """How many numbers were learned."""
        return size_of(self.net) + size_of(self.linear)

    def logits(
        self, encoded: Encoded, whole: TokenRows | None = None,
        advance: Callable[[int], object] = lambda done: None,
    ) -> Array:  # fmt: skip
        """Return logits [N] or [N, C] of N >= 1 texts; a linear part wants them `whole`."""
        said = None if self.net is None else predict_logits(self.net, encoded, advance=advance)
        if self.net is None:
            advance(len(encoded))
        if self.linear is None:
            assert said is not None
            return said
        if whole is None:
            raise TypeError("the texts are word ids alone, expected what `encode` of a run returns")
        return self.joined(said, self.linear.logits(whole))

    def joined(self, net: Array | None, linear: Array) -> Array:
        """Return the logits of both parts together; `net` is None where there is no net."""
        assert self.join is not None
        return self.join.logits(np.zeros_like(linear) if net is None else net, linear)


def outputs_of(linear: BagOfNgrams) -> int:
    """Return the logits of a text, as of a net: one for two classes."""
    return 1 if linear.num_classes == 2 else linear.num_classes


def size_of(part: TextClassifier | BagOfNgrams | None) -> int:
    """Return how many numbers a part has learned."""
    if part is None:
        return 0
    if isinstance(part, BagOfNgrams):
        return int(part.weights.size + part.intercept.size)
    return sum(parameter.data.size for parameter in part.parameters())


def save_parts(
    path: Path, parts: Parts, weights: Mapping[str, NDArray[Any]] | None = None, **note: object
) -> None:
    """Write one file with all; `weights` are those of the net in place of its own.

    Errors as of `train.checkpoint.save`.
    """
    if parts.linear is None:
        assert parts.net is not None
        save_model(path, parts.net, weights, **note)
        return
    assert parts.join is not None
    tensors = {LINEAR + name: array for name, array in parts.linear.state().items()}
    about: dict[str, object] = {"class": BagOfNgrams.__name__}
    if parts.net is not None:
        tensors |= weights or parts.net.state_dict()
        about = {"class": type(parts.net).__name__, "model": parts.net.options}
    about |= {"linear": parts.linear.options(), "join": asdict(parts.join), **note}
    checkpoint.save(path, tensors, KIND, about)


def load_parts(path: Path) -> tuple[Parts, dict[str, Any]]:
    """Return what `save_parts` wrote, and the note.

    Errors as of `train.model_file.load_model`.
    """
    tensors, note = checkpoint.load(path, KIND)
    if "linear" not in note:
        return Parts(build_model(path, tensors, note, TextClassifier)), note
    own = {n.removeprefix(LINEAR): a for n, a in tensors.items() if n.startswith(LINEAR)}
    with checkpoint.building(path):
        linear = BagOfNgrams.from_state(own, note["linear"])
        join = record(Join, note["join"])
        factors = join.net, join.linear
        if not 0 <= min(factors) <= max(factors) <= MOST or not 0 <= join.net_share <= 1:
            raise ValueError(f"its join is {join}")
    net = None
    if note.get("class") != BagOfNgrams.__name__:
        net = build_model(path, tensors, note, TextClassifier)
        if net.num_outputs != outputs_of(linear):
            raise checkpoint.CheckpointError(
                f"{path} is damaged: its net has {count_of(net.num_outputs, 'output')}, its linear "
                f"part {outputs_of(linear)}"
            )
    return Parts(net, linear, join), note
