"""Writing with a language model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.models.language_model import LanguageModel
from fastlstm.nn.check import Rng, check_ids, check_number, check_rng, check_size


def sample(
    model: LanguageModel,
    length: int,
    prompt: ArrayLike,
    temperature: float = 1.0,
    rng: Rng = None,
    *,
    exclude: Sequence[int] = (),
) -> NDArray[np.int64]:
    """Let a language model write on from a prompt.

    Parameters
    ----------
    model : the model; it runs token by token.
    length : how many tokens to write.
    prompt : integers [P], at least one: what the model reads first.
    temperature : divides the logits. 1 draws from what the model believes, less takes fewer
        risks; 0 always takes the likeliest token.
    rng : generator; None for an unseeded one.
    exclude : tokens that are never written, such as that of unknown words.

    Returns
    -------
    tokens : int64 [length], without the prompt.

    Raises
    ------
    TypeError, ValueError, IndexError
        If an argument is out of range, or everything is excluded.
    """
    table, rng = model.embedding.weight.data, check_rng(rng)
    check_size("length", length, 0)
    read = check_ids("prompt", prompt, len(table), ndim=1)
    if not len(read):
        raise ValueError("prompt is empty, expected at least one token")
    if not 0 <= check_number("temperature", temperature) < np.inf:
        raise ValueError(f"temperature is {temperature}, expected 0 or more")
    barred = np.zeros(len(table), np.bool_)
    if len(exclude):  # NumPy takes an empty list for one of floats
        barred[check_ids("exclude", exclude, len(table))] = True
    if barred.all():
        raise ValueError("exclude names all tokens, expected one that may be written")
    stream, written = model.recurrent.stream(), np.empty(length, np.int64)
    for token in read[:-1]:
        stream(table[token])
    token = read[-1]
    for place in range(length):
        y = stream(table[token])
        y = y if model.projection is None else model.projection(y)
        logits = np.where(barred, -np.inf, model.decoder(y).astype(np.float64))
        token = written[place] = _draw(logits, temperature, rng)
    return written


def _draw(logits: NDArray[np.float64], temperature: float, rng: np.random.Generator) -> int:
    """Draw one of the tokens, of the softmax of ``logits / temperature``."""
    if temperature == 0:
        return int(np.argmax(logits))
    with np.errstate(over="ignore"):  # of a tiny temperature: all but the largest are -inf
        chances = np.exp((logits - logits.max()) / temperature)
    reached = np.cumsum(chances)
    return int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))
