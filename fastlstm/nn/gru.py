"""GRU: gated recurrent unit."""

from __future__ import annotations

from fastlstm.kernels import CellSpec
from fastlstm.nn.activation import Option, cell_with, check_activation
from fastlstm.nn.check import check_flag
from fastlstm.nn.recurrent import LayerOptions, Recurrent
from fastlstm.nn.unpack import Unpack


class GRU(Recurrent):
    """Gated recurrent unit, as torch.nn.GRU: same options, defaults, names and layouts.

    Letters: T steps, N batch, I input_size, H hidden_size, L num_layers, D directions (1 or 2).

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, rng,
    init, learn_state, recompute, recurrent_dropout, weight_drop, variational, precision, models :
        as of `LSTM`.
    reset_after : where the reset gate r meets the state: True, torch's, in
        ``n = tanh(W_in x + b_in + r * (W_hn h + b_hn))``; False, Cho et al. 2014 (Keras's
        ``reset_after=False``, ONNX's ``linear_before_reset=0``), in
        ``n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)``.
    activation, recurrent_activation : of the candidate n, and of the gates r and z; as of `LSTM`.

    Attributes
    ----------
    weight_ih_l{k}, ... : as of `LSTM`, with 3H rows, gates in the order r, z, n.
    """

    activation: Option = "tanh"  # also of what was pickled before there was a choice
    recurrent_activation: Option = "sigmoid"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        activation: Option = "tanh",
        recurrent_activation: Option = "sigmoid",
        **options: Unpack[LayerOptions],
    ) -> None:
        self.reset_after = check_flag("reset_after", reset_after)
        self.activation = check_activation("activation", activation)
        self.recurrent_activation = check_activation("recurrent_activation", recurrent_activation)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            **options,
        )  # fmt: skip

    @property
    def _cell(self) -> CellSpec:  # type: ignore[override]  # see Stack
        name = "gru" if self.reset_after else "gru_reset_before"
        return cell_with(name, self.activation, self.recurrent_activation)
