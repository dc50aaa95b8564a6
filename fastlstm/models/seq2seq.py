"""Encoder and decoder: one sequence in, another one out, each of any length."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from fastlstm.kernels.rows import Int64Array
from fastlstm.models.beam import Hypothesis, Rules, beam_search
from fastlstm.models.model import Model, options_of
from fastlstm.models.source_encoder import Encoding, SourceEncoder
from fastlstm.models.target_decoder import TargetDecoder
from fastlstm.models.word_layers import Plan
from fastlstm.nn.check import (
    Rng,
    check_flag,
    check_ids,
    check_probability,
    check_rng,
    check_size,
    one_rng,
)
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.state import State

_MATRICES = (
    "encoder.embedding.weight", "encoder.lstm.weight_ih_l0", "encoder.lstm.weight_hh_l0",
    "encoder.bridge.h.weight", "encoder.bridge.c.weight", "decoder.lstm.weight_ih_l0",
    "decoder.lstm.weight_hh_l0", "decoder.attention.combine.weight", "decoder.head.weight",
)  # fmt: skip


class Seq2Seq(Model):
    """LSTM encoder, LSTM decoder that starts from its last state, softmax over target words.

    The decoder is trained on the true words before each one (teacher forcing). Its attention is
    that of `DotAttention`, not fed back into the decoder. Nothing is computed for padding: the
    logits are those of the real target tokens, row after row.

    Letters: N rows; S and T tokens of the longest source and target; M real target tokens in
    all; V target_vocab_size; E embedding_dim; H hidden_size; L num_layers.

    Parameters
    ----------
    source_vocab_size, target_vocab_size : token ids are 0 to one less; 0 pads.
    embedding_dim, hidden_size, num_layers : of both sides.
    bidirectional : give the encoder two directions, of H/2 units each (H must be even), and a
        `Bridge` from their last states to the decoder's first.
    attention : let the decoder look at all outputs of the encoder, not at its last state only.
    dropout : probability for what the output layer sees, and between the recurrent layers.
    tied : the output layer's weight is the target embedding's (Press & Wolf 2017). Its input
        has size E then, which the attention sees to; without attention H must be E.
    embedding_dropout : as of `TextClassifier`.
    embedding_std : standard deviation of the first word vectors. On German-English captions
        0.25 learned faster than 0.1 (57 % of the next words guessed right in place of 54 %, after
        as many steps) and as fast as 0.5.
    bos, eos : target tokens that each target starts from and ends with.
    dtype : float32 or float64.
    rng : generator of the first values and, by default, of dropout.

    Attributes
    ----------
    encoder, decoder : the two halves, which hold the layers.
    options : what the model was made with, rng apart.
    """

    LAYER = "decoder.lstm.weight_hh_l{number}"
    SIZES = {
        "source_vocab_size": ("encoder.embedding.weight", 0),
        "target_vocab_size": ("decoder.embedding.weight", 0),
        "embedding_dim": ("decoder.embedding.weight", 1),
        "hidden_size": ("decoder.lstm.weight_hh_l0", 1),
        **{
            f"{side} of {name}": (name, axis)
            for name in _MATRICES
            for axis, side in enumerate(("rows", "columns"))
        },
    }

    def __init__(
        self,
        source_vocab_size: int,
        target_vocab_size: int,
        embedding_dim: int = 256,
        hidden_size: int = 512,
        num_layers: int = 1,
        bidirectional: bool = True,
        attention: bool = True,
        dropout: float = 0.0,
        *,
        tied: bool = False,
        embedding_dropout: float | None = None,
        embedding_std: float = 0.25,
        bos: int = 2,
        eos: int = 3,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        bidirectional = check_flag("bidirectional", bidirectional)
        attention, tied = check_flag("attention", attention), check_flag("tied", tied)
        self.options = options_of(locals())
        check_size("source_vocab_size", source_vocab_size)
        check_size("target_vocab_size", target_vocab_size)
        check_size("hidden_size", hidden_size)
        check_probability("dropout", dropout)
        if embedding_dropout is None:
            embedding_dropout = dropout
        check_probability("embedding_dropout", embedding_dropout)
        for name, mark in (("bos", bos), ("eos", eos)):
            if not 0 < check_size(name, mark, 0) < target_vocab_size:
                raise ValueError(f"{name} is {mark}, expected 1 to {target_vocab_size - 1}")
        if bos == eos:
            raise ValueError(f"eos is {eos}, expected another token than bos")
        if bidirectional and hidden_size % 2:
            raise ValueError(f"hidden_size is {hidden_size}, expected an even number")
        if tied and not attention and hidden_size != embedding_dim:
            raise ValueError(
                f"hidden_size is {hidden_size}, expected that of embedding_dim, {embedding_dim}, "
                "with tied=True and attention=False"
            )
        self.bos, self.eos, rng = int(bos), int(eos), check_rng(rng)
        plan = Plan(
            embedding_dim, hidden_size, num_layers, dropout, embedding_dropout, embedding_std,
            dtype, rng,
        )  # fmt: skip
        self.encoder = SourceEncoder(source_vocab_size, plan, bidirectional=bidirectional)
        self.decoder = TargetDecoder(target_vocab_size, plan, attention=attention, tied=tied)

    @classmethod
    def further_sizes(cls, options: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
        """Return both sides of the matrices: a thin one does not stand for a large one."""
        E, H, both = found["embedding_dim"], found["hidden_size"], bool(options["bidirectional"])
        F = E if options["tied"] else H
        half, bridge = (H // 2, found["num_layers"] * H) if both else (H, 0)
        combine = (F, 2 * H) if options["attention"] else (0, 0)
        head = (0, 0) if options["tied"] else (found["target_vocab_size"], F)
        shapes = (
            (found["source_vocab_size"], E), (4 * half, E), (4 * half, half),
            (bridge, bridge), (bridge, bridge), (4 * H, E), (4 * H, H), combine, head,
        )  # fmt: skip
        return {
            f"{side} of {name}": size
            for name, shape in zip(_MATRICES, shapes, strict=True)
            for side, size in zip(("rows", "columns"), shape, strict=True)
        }

    def __call__(
        self,
        source: ArrayLike,
        source_lengths: ArrayLike | None,
        target: ArrayLike,
        target_lengths: ArrayLike | None = None,
    ) -> Array:
        """Return the logits of what follows each target token, and keep nothing.

        Parameters
        ----------
        source : integers [N,S], each row's tokens first, then any valid id (0 by custom).
        source_lengths : integers [N] in 0..S, in any order; None if all have S tokens.
        target : integers [N,T], each row's `bos` and its words, without `eos`.
        target_lengths : integers [N] in 0..T; None if all have T tokens.

        Returns
        -------
        logits : [M,V], those of the first row's tokens first.

        Raises
        ------
        TypeError, ValueError
            If tokens or lengths have a wrong dtype, shape or range, the batch is empty or has
            no steps, or a parameter holds NaN.
        IndexError
            If a token is out of range.
        """
        return self.decoder(target, target_lengths, self.encoder(source, source_lengths))

    def forward(
        self,
        source: ArrayLike,
        source_lengths: ArrayLike | None,
        target: ArrayLike,
        target_lengths: ArrayLike | None = None,
        rng: Rng = None,
    ) -> tuple[Array, Tape]:
        """Run a batch to train: logits as above, with dropout, and the tape."""
        rng = one_rng(rng)
        encoding, encoder = self.encoder.forward(source, source_lengths, rng)
        logits, decoder = self.decoder.forward(target, target_lengths, encoding, rng)
        return logits, Tape(self, encoder, decoder)

    def backward(self, tape: Tape, dlogits: Array) -> None:
        """Add to the gradient of each parameter, given that of the logits."""
        encoder, decoder = self._look(tape)
        dmemory, dstate = self.decoder.backward(decoder, dlogits)
        self._take(tape)
        self.encoder.backward(encoder, dmemory, dstate)

    def encode(self, source: ArrayLike, lengths: ArrayLike | None = None) -> Encoding:
        """Return what the decoder knows of the sources; arguments and errors as for a call."""
        return self.encoder(source, lengths)

    def align(
        self,
        source: ArrayLike,
        source_lengths: ArrayLike | None,
        target: ArrayLike,
        target_lengths: ArrayLike | None = None,
    ) -> Array:
        """Return the weight [N,T,S] that each target step gives each source token.

        Arguments and errors as for a call; also ValueError if the model has no attention.
        """
        return self.decoder.align(target, target_lengths, self.encoder(source, source_lengths))

    def greedy(
        self, source: ArrayLike, lengths: ArrayLike | None = None, max_length: int = 100
    ) -> list[Int64Array]:
        """Write the likeliest token at each step: int64 [n] for each row, without the marks.

        Arguments and errors as for `beam_search`.
        """
        found = self.beam_search(source, lengths, 1, max_length=max_length)
        return [hypotheses[0].tokens for hypotheses in found]

    def beam_search(
        self,
        source: ArrayLike,
        lengths: ArrayLike | None = None,
        beam_size: int = 5,
        alpha: float = 0.6,
        max_length: int = 100,
        forbidden: Collection[int] = (),
    ) -> list[list[Hypothesis]]:
        """Search for likely targets of a batch of sources.

        Parameters
        ----------
        source, lengths : as for a call.
        beam_size : hypotheses of a source that are followed at a time; 1 is the greedy search.
        alpha : of the length penalty, 0 for none; see `models.beam.Rules`.
        max_length : tokens at most, `eos` counted.
        forbidden : tokens that are never written, besides padding and `bos`: the unknown word,
            say.

        Returns
        -------
        list of length N : 1 to `beam_size` hypotheses of each source, the best first.

        Raises
        ------
        TypeError, ValueError, IndexError
            As a call; also if an option is out of range.
        """
        never = [0, self.bos, *forbidden]
        never = check_ids("forbidden", never, self.decoder.head.out_features).tolist()
        rules = Rules(self.bos, self.eos, beam_size, alpha, max_length, never)
        rules.check()
        encoding = self.encode(source, lengths)

        def step(tokens: Int64Array, state: State, rows: Int64Array) -> tuple[Array, State]:
            return self.decoder.step(tokens, state, encoding, rows)

        return beam_search(step, encoding.state, rules)
