"""Maps of every number, and the mean: stages of a chain without weights."""

from __future__ import annotations

from fastlstm.kernels import chain
from fastlstm.kernels.chain import Stage
from fastlstm.nn.chain.part import ChainPart


class ReLU(ChainPart):
    """max(x, 0), as `torch.nn.ReLU`; NaN stays NaN. For inference alone."""

    def stage(self) -> Stage:
        """Return it as a stage of a chain."""
        return chain.Map("relu")


class Sigmoid(ChainPart):
    """1 / (1 + exp(-x)), as `torch.nn.Sigmoid`. For inference alone."""

    def stage(self) -> Stage:
        """Return it as a stage of a chain."""
        return chain.Map("sigmoid")


class Tanh(ChainPart):
    """The hyperbolic tangent, as `torch.nn.Tanh`. For inference alone."""

    def stage(self) -> Stage:
        """Return it as a stage of a chain."""
        return chain.Map("tanh")


class Magnitude(ChainPart):
    """sqrt(re^2 + im^2), re the first half of the channels and im the second: [N,P,2M] -> [N,P,M].

    After a `Conv1d` whose kernels are the cosines and sines of a basis, windowed or not, it is the
    magnitude of a short-time Fourier transform. If its first half is even about the middle and its
    second odd, to the last bit, the compiled kernels make half of the products. For inference
    alone.
    """

    def stage(self) -> Stage:
        """Return it as a stage of a chain."""
        return chain.Map("magnitude")


class Mean(ChainPart):
    """The mean over the positions of a frame: [N,P,C] -> [N,1,C]. For inference alone."""

    def stage(self) -> Stage:
        """Return it as a stage of a chain."""
        return chain.Mean()
