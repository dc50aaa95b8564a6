"""In which order the gates stand in the weights of other libraries, by our names of the gates.

Theirs have the same meaning: Keras calls an LSTM's g c, and a GRU's r, z, n it calls r, z, h.
"""

from __future__ import annotations

from collections.abc import Sequence

KERAS = {"lstm": "ifgo", "gru": "zrn", "gru_reset_before": "zrn", "rnn_tanh": "h", "rnn_relu": "h"}
ONNX = {"lstm": "iofg", "gru": "zrn", "gru_reset_before": "zrn", "rnn_tanh": "h", "rnn_relu": "h"}


def places(wanted: Sequence[str], given: Sequence[str]) -> list[int]:
    """Return where each of the wanted gates stands among the given ones."""
    return [given.index(gate) for gate in wanted]
