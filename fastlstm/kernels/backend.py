"""What a backend is: the protocol that each of them fulfils as a module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fastlstm.kernels.call import (
    Array,
    Call,
    Gradients,
    States,
    Weights,
)
from fastlstm.kernels.rows import Int64Array
from fastlstm.kernels.spec import CellSpec

if TYPE_CHECKING:
    from fastlstm.kernels.adam import AdamNumbers, AdamStep
    from fastlstm.kernels.chain import ChainSpec
    from fastlstm.kernels.crf import CrfLoss, CrfScores
    from fastlstm.kernels.many import ManyStream, Models
    from fastlstm.kernels.sizes import CallSizes, MemoryUse
    from fastlstm.kernels.sparse import LogisticProblem, LogisticSolution, SparseRows


class Stream(Protocol):
    """One time step after another, state inside; checks, shapes, errors as `reference.stream`.

    The array returned may be overwritten by the next call.
    """

    state: States  # each [L, N, R or H]: copies out, values in

    @property
    def shares(self) -> bool:
        """Whether a step of all rows is worth several threads: a small one never asks."""

    def __call__(
        self, x: Array, /, rows: Int64Array | None = None, n_threads: int = 1
    ) -> Array: ...

    def reset(self) -> None:
        """Go back to a state of zeros."""


class Chain(Protocol):
    """Frames of a signal through stages, state inside; as `reference.chain.Chain`."""

    state: States  # in the order of `chain.state_of`, each [1, N, size]: copies out, values in

    def __call__(self, x: Array, n_threads: int = 1, /) -> Array: ...


class AdamGroup(Protocol):
    """Steps of the optimizer on many arrays; as `adam.LoopedAdam`."""

    def step(self, numbers: AdamNumbers, /) -> None:
        """Take one step of all."""


class KeyTable(Protocol):
    """The numbers of sorted keys; as `reference.sparse.KeyTable`."""

    def __len__(self) -> int: ...

    def find(self, keys: Array) -> Array:
        """Return the number of each key, int32: -1 for one that the table has not."""


class Backend(Protocol):
    """An engine for all cells. What each function does is written at `kernels.reference`.

    Contracts, compared bit for bit by the tests: a row's results depend neither on the other
    rows nor on the number of threads; T steps in one call are the same as any split of them with
    the state carried over; `Tokens` give the result of ``table[ids]``; a `Reset` gives the result
    of cutting the rows there; `recompute` changes no gradient.
    """

    def forward(self, cell: CellSpec, call: Call, /) -> tuple[States, Any]:
        """Run all steps: the last states, and what was saved for `backward` (or None)."""

    def backward(self, saved: Any, given: Gradients, /) -> tuple[States, States | None]:
        """Run them backward: gradients of the initial states, and of the reset's."""

    def inside(self, saved: Any, /) -> dict[str, Array]:
        """Return the gates and states at every step of what was saved, as arrays [P,H]."""

    def memory(self, cell: CellSpec, sizes: CallSizes, /) -> MemoryUse:
        """Bytes that a forward that saves and its backward (with dx) will take."""

    def stream(
        self, cell: CellSpec, layers: list[Weights], batch_size: int, precision: str = "float32", /
    ) -> Stream:
        """Return a single-step runner over copies of the weights of stacked layers."""

    def models(
        self, cell: CellSpec, weights: Sequence[Weights], precision: str = "float32", /
    ) -> Models:
        """Return what runs models of equal shape in one call; the weights are referred to."""

    def many_stream(self, streams: Sequence[Any], /) -> ManyStream:
        """Return a runner of a step of several of its streams of equal shape, whose state it is."""

    def chain(self, spec: ChainSpec, batch_size: int, /) -> Chain:
        """Return a runner of a chain over copies of its weights."""

    def matmul(
        self,
        a: Array,
        b: Any,
        bias: Array | None = None,
        *,
        precision: str,
        out: Array | None = None,
        add: bool = False,
        n_threads: int = 1,
    ) -> Array:
        """Return ``a @ b^T + bias`` of float32, with products in a precision."""

    def pack_matrix(self, b: Array, precision: str, /) -> Any:
        """Return what `matmul` takes in the place of b, for many products with the same."""

    def pool(
        self, y: Array, lengths: Any, *, mean: bool, max: bool, n_threads: int = 1
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Mean and maximum over each row's real steps."""

    def pool_backward(
        self,
        dy: Array,
        lengths: Any,
        dmean: Array | None,
        dmax: Array | None,
        step: Array | None,
        *,
        n_threads: int = 1,
    ) -> None:
        """Gradient of y."""

    def adam(self, step: AdamStep, /) -> None:
        """Take one step of the optimizer."""

    def adam_group(self, arrays: Sequence[Sequence[Array]], /) -> AdamGroup:
        """Return what takes steps of many arrays (p, m, v, g), which are referred to, at once."""

    def softmax_cross_entropy(
        self,
        logits: Array,
        targets: Int64Array,
        bias: Array | None = None,
        target_bias: Array | None = None,
        *,
        scale: float = 0.0,
        dbias: bool = False,
        n_threads: int = 1,
    ) -> tuple[float, Array | None]:
        """Loss of a softmax over a vocabulary, and its gradient in the place of the logits."""

    def crf(
        self,
        x: Array,
        labels: Int64Array,
        lengths: Int64Array,
        scores: CrfScores,
        *,
        gradient: bool = True,
        n_threads: int = 1,
    ) -> CrfLoss:
        """Loss of a linear-chain conditional random field, and its gradients."""

    def viterbi(
        self, x: Array, lengths: Int64Array, scores: CrfScores, *, n_threads: int = 1
    ) -> tuple[Int64Array, Array]:
        """Return the likeliest labels [N,T], and their score [N]."""

    def key_table(self, keys: Array, /) -> KeyTable:
        """Return a table of rising keys, uint64."""

    def collapse(self, columns: Array, offsets: Int64Array, features: int) -> SparseRows:
        """Return how often each feature is named in a row."""

    def sparse_product(self, rows: SparseRows, weights: Array, *, n_threads: int = 1) -> Array:
        """Return sparse rows times weights, float64."""

    def logistic(self, problem: LogisticProblem, /) -> LogisticSolution:
        """Solve logistic regressions on sparse rows."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """As `numpy.empty`, quick for large arrays that come and go each step."""
