"""LSTM: long short-term memory, and its variant with peepholes."""

from __future__ import annotations

from fastlstm.kernels import CELLS
from fastlstm.nn.activation import Option, cell_with, check_activation
from fastlstm.nn.check import check_flag, check_number
from fastlstm.nn.recurrent import LayerOptions, Recurrent
from fastlstm.nn.unpack import Unpack


class _LongShortTerm(Recurrent):
    """The options that `LSTM` and `PeepholeLSTM` have in common."""

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
        proj_size: int = 0,
        *,
        activation: Option = "tanh",
        recurrent_activation: Option = "sigmoid",
        forget_bias: float | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.activation = check_activation("activation", activation)
        self.recurrent_activation = check_activation("recurrent_activation", recurrent_activation)
        self._cell = cell_with(self._cell.name, self.activation, self.recurrent_activation)
        if forget_bias is not None:
            check_number("forget_bias", forget_bias)
        if forget_bias is not None and not check_flag("bias", bias):
            raise ValueError(f"forget_bias is {forget_bias}, expected None as bias is False")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            proj_size, **options,
        )  # fmt: skip
        if forget_bias is not None:
            forget = slice(self.hidden_size, 2 * self.hidden_size)
            for suffix in self._suffixes:
                getattr(self, "bias_ih" + suffix).data[forget] = forget_bias
                getattr(self, "bias_hh" + suffix).data[forget] = 0


class LSTM(_LongShortTerm):
    """Long short-term memory, as torch.nn.LSTM: same options, defaults, names and layouts.

    Letters: T steps, N batch, I input_size, H hidden_size, L num_layers, D directions (1 or 2),
    R the size of an output: proj_size, or H without one.

    Parameters
    ----------
    input_size, hidden_size, num_layers : I, H, L, each at least 1.
    bias : whether to have the two biases.
    batch_first : x and y are [N,T,...] in place of [T,N,...]; states never are.
    dropout : probability to drop an output of each layer but the last; in `forward` only.
    bidirectional : run a second direction, from each row's own end to its start.
    proj_size : make h smaller by a weight: ``h = weight_hr (o * tanh(c))``; 0 for none, else
        less than H. c stays [.,N,H].
    dtype : float32 or float64, of the parameters and of every input and output.
    rng : generator of the first values and, by default, of dropout; or a seed for one.
    init : "torch", uniform in +-1/sqrt(H); or "orthogonal", recurrent weights of each gate an
        orthogonal matrix (with a projection, orthonormal columns).
    activation : what makes the candidate g of its sum, and what meets o in tanh's place: "tanh",
        "sigmoid", "relu", "linear", "softsign" or "hard_sigmoid", which is x / 5 + 1/2 forced into
        0..1 (ONNX's and Keras 2's); ``("hard_sigmoid", 1/6, 1/2)`` is Keras 3's.
    recurrent_activation : of the gates i, f and o, likewise. With others than "tanh" and "sigmoid"
        the precision is "float32".
    forget_bias : first value of the forget gate's bias (b_ih + b_hh); None leaves it to `init`.
    learn_state : start rows, also after a reset, from parameters, which are zeros at first.
    recompute : keep the states of every so many steps only, and run the steps between them again
        in `backward`: less memory, the same gradients to the bit. The square root of T is a good
        value; 0 keeps everything.
    recurrent_dropout : probability to drop an element of h on its way to weight_hh, in `forward`
        only: one mask for each row, the same at all its steps (Gal & Ghahramani 2016), drawn
        from `rng` in the order of the rows of the call.
    weight_drop : probability to drop an element of weight_hh, in `forward` only: one mask for
        each call, or each `tbptt`, the same for all rows and steps (DropConnect on the recurrent
        weights, Merity et al. 2018, "Regularizing and optimizing LSTM language models").
    variational : `dropout` between the layers has one mask for each row too, the same at all its
        steps, in place of a new one at each.
    precision : how products are made; it may be changed at any time. "float32": as the arrays
        are. "bfloat16": of both factors rounded to bfloat16, with float32 sums, in `backward`
        too, for which gates and cells are kept in bfloat16. "int8": for inference, of rows
        rounded to 8 bits. All else stays float32, arrays too; float64 takes "float32" alone. See
        docs/precision.md.
    models : make so many layers, whose parameters have an axis of models in front, run in one call:
        see `fastlstm.together` and docs/many.md. `rng` may then be a list of a seed for each.

    Attributes
    ----------
    weight_ih_l{k} : Parameter [4H, I or D*R], gates in the order i, f, g, o.
    weight_hh_l{k} : Parameter [4H, R].
    bias_ih_l{k}, bias_hh_l{k} : Parameter [4H], or None.
    weight_hr_l{k} : Parameter [R, H], with a projection.
    ..._reverse : the same for the second direction.
    h_0, c_0 : Parameter [L*D, R] and [L*D, H], with `learn_state`.
    """

    _cell = CELLS["lstm"]


class PeepholeLSTM(_LongShortTerm):
    """LSTM whose gates see the cell state (Gers & Schmidhuber 2000; ONNX's LSTM with P)::

        i = sigmoid(.. + p_i * c)   f = sigmoid(.. + p_f * c)   c' = f * c + i * tanh(..)
        o = sigmoid(.. + p_o * c')  h' = o * tanh(c')

    with the products of `LSTM` where the dots are.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, rng,
    init, activation, recurrent_activation, forget_bias, learn_state, recompute, recurrent_dropout,
    weight_drop, variational, precision, models : as of `LSTM`.

    Attributes
    ----------
    weight_ih_l{k}, ... : as of `LSTM`.
    p_i_l{k}, p_f_l{k}, p_o_l{k} : Parameter [H]; uniform in +-1/sqrt(H).
    """

    _cell = CELLS["peephole_lstm"]
