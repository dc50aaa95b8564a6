"""A net, a linear part of texts, or both joined: trained as an estimator says, and asked."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

from fastlstm.linear import BagOfNgrams
from fastlstm.models.joined import Join
from fastlstm.printable import say
from fastlstm.sklearn.data import Data, outputs_of
from fastlstm.sklearn.earlier import Earlier
from fastlstm.sklearn.readers import Numbers, Reader, TextReader, Texts
from fastlstm.sklearn.training import First, split, train
from fastlstm.train.classifier.linear_part import LabelledRows, LinearPart
from fastlstm.train.history import History


class Trained(NamedTuple):
    """What classifies: a net, a linear part, or both with their join."""

    net: Any
    history: History
    linear: BagOfNgrams | None
    join: Join | None


def parts_of(estimator: Any, reader: Reader) -> str:
    """Return what `parts` means for the input; ValueError if it means nothing."""
    parts: str = estimator.parts
    if isinstance(reader, TextReader):
        return parts
    if parts == "linear":
        raise ValueError("parts is 'linear', which is for texts, but X holds numbers")
    return "net"


def train_parts(
    estimator: Any, reader: Reader, found: Texts | Numbers, data: Data, classes: NDArray[Any],
    seed: int, first: First | None,
) -> Trained:  # fmt: skip
    """Train the linear part, then the net, and join them.

    `data` is what the reader made of what was `found`; `first` is what the net begins with. A
    linear part joined to an earlier net is kept where that keeps its head.
    """
    parts, history = parts_of(estimator, reader), History()
    net = linear = join = part = None
    if parts == "joined" and isinstance(first, Earlier) and first.keeps_head:
        linear, join = estimator.linear_, estimator.join_
    if parts != "net" and linear is None:
        part = _linear_part(estimator, reader, found, data, len(classes), seed)
        linear, join = part.everything, Join(0.0, part.calibration, 0.0)
    if parts != "linear":
        net, history = train(estimator, reader, data, classes, seed, first)
    if parts == "joined" and part is not None:
        join = part.join(outputs_of(net, data.select(part.judged[part.heard()])))
    return Trained(net, history, linear, join)


def _linear_part(
    estimator: Any, reader: Reader, found: Texts | Numbers, data: Data, classes: int, seed: int
) -> LinearPart:
    """Return a linear part of the texts that the net is trained on."""
    assert isinstance(found, list)
    assert isinstance(reader, TextReader)
    labels = data.encoded.labels
    kept, held = split(len(labels), estimator.validation_fraction, seed, labels)
    rows = LabelledRows(reader.whole(found), labels, kept, held, data.weights)
    part = LinearPart.fit(rows, classes, seed)
    if estimator.verbose:
        say(part.told, flush=True)
    return part
