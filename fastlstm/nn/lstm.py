"""LSTM: long short-term memory."""

from __future__ import annotations

from numpy.typing import DTypeLike

from fastlstm.kernels import CELLS
from fastlstm.nn.check import Rng, check_flag, check_number
from fastlstm.nn.recurrent import Recurrent


class LSTM(Recurrent):
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
    forget_bias : first value of the forget gate's bias (b_ih + b_hh); None leaves it to `init`.
    learn_state : start rows, at first and after a reset, from parameters (zeros at first) and
        not from zeros.
    recompute : keep the states of every so many steps only between `forward` and `backward`,
        which then runs the steps between them again: less memory, the same gradients to the
        bit. The square root of T is a good value; 0 keeps everything.

    Attributes
    ----------
    weight_ih_l{k} : Parameter [4H, I or D*R], gates in the order i, f, g, o.
    weight_hh_l{k} : Parameter [4H, R].
    bias_ih_l{k}, bias_hh_l{k} : Parameter [4H], or None.
    weight_hr_l{k} : Parameter [R, H], with a projection.
    ..._reverse : the same for the second direction.
    h_0, c_0 : Parameter [L*D, R] and [L*D, H], with `learn_state`.
    """

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
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        init: str = "torch",
        forget_bias: float | None = None,
        learn_state: bool = False,
        recompute: int = 0,
    ) -> None:
        if forget_bias is not None:
            check_number("forget_bias", forget_bias)
        if forget_bias is not None and not check_flag("bias", bias):
            raise ValueError(f"forget_bias is {forget_bias}, expected None as bias is False")
        super().__init__(
            CELLS["lstm"],
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            dtype=dtype,
            rng=rng,
            init=init,
            learn_state=learn_state,
            recompute=recompute,
        )
        if forget_bias is not None:
            forget = slice(self.hidden_size, 2 * self.hidden_size)
            for suffix in self._suffixes:
                getattr(self, "bias_ih" + suffix).data[forget] = forget_bias
                getattr(self, "bias_hh" + suffix).data[forget] = 0
