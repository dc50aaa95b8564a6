"""RNN: the plain recurrent net."""

from __future__ import annotations

from fastlstm.kernels import CellSpec
from fastlstm.nn.activation import Option, cell_with, check_activation
from fastlstm.nn.recurrent import LayerOptions, Recurrent
from fastlstm.nn.unpack import Unpack


class RNN(Recurrent):
    """Plain (Elman) recurrent net, as torch.nn.RNN: same options, defaults, names and layouts.

    ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or another activation in tanh's place.

    Letters: T steps, N batch, I input_size, H hidden_size, L num_layers, D directions (1 or 2).

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, rng,
    init, learn_state, recompute, recurrent_dropout, weight_drop, variational, precision : as of
        `LSTM`.
    nonlinearity : "tanh", "relu" or another that `LSTM` takes as its `activation`.

    Attributes
    ----------
    weight_ih_l{k}, ... : as of `LSTM`, with H rows.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Option = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.nonlinearity = check_activation("nonlinearity", nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            **options,
        )  # fmt: skip

    @property
    def _cell(self) -> CellSpec:  # type: ignore[override]  # see Stack
        return cell_with("rnn_tanh", self.nonlinearity)
