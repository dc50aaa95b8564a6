"""Faults in conditional random fields, taggers and decoders of horizons."""

from __future__ import annotations

from attack.faults.fault import Fault

_C, _DOOR = "fastlstm/kernels/native/src/crf.c", "fastlstm/kernels/native/_crf.pxi"
_KERNEL, _ON = "tests/kernels/test_crf_kernel.py", "native-base or native_kernel or field"
_MODELS = "fastlstm/models/"
_TAGGER, _AHEAD = "tests/models/test_sequence_tagger.py", "tests/models/test_horizon_decoder.py"

TAGGING = (
    Fault(_C, "out[k] > LEAST ? log(out[k]) + most + w->top", "1 ? log(out[k]) + most + w->top",
          _KERNEL, _ON),
    Fault(_C, "if (!(scale < MOST)) {", "if (0) {", _KERNEL, _ON),
    Fault(_C, "log_product(K, v + t * K, &j->before", "log_product(K, v + t * K, &j->after",
          _KERNEL, _ON),
    Fault(_C, "return score + p->end[label[last]];", "return score;", _KERNEL, _ON),
    Fault(_C, "d[t * K + p->label[n * p->T + t]] -= 1;", "", _KERNEL, _ON),
    Fault(_C, "p->dend[k] += d[last * K + k];", "p->dend[k] += d[k];", _KERNEL, _ON),
    Fault(_C, "if (most == -INFINITY) return most;", "", _KERNEL, _ON),
    Fault(_C, "for (int64_t k = 0; k < K; k++) best[k] += p->end[k];", "", _KERNEL, _ON),
    Fault(_C, "if (one <= next[k] ||", "if (one < next[k] ||", _KERNEL, _ON),
    Fault(_C, "    fl_barrier(team);\n", "    (void)team;\n", _KERNEL, _ON),
    Fault(_DOOR, "fl_viterbi(&p) if best else fl_crf_loss(&p)",
          "fl_crf_loss(&p) if best else fl_viterbi(&p)", _KERNEL, _ON),
    Fault("fastlstm/kernels/crf.py", "own[np.arange(T) >= lengths[:, None]] = 0", "", _KERNEL,
          "reference"),
    Fault("fastlstm/kernels/crf.py", "np.flatnonzero((own < 0) | (own > T))",
          "np.flatnonzero(own < 0)", _KERNEL, "reference"),
    Fault(_MODELS + "crf.py", "share = dloss / steps", "share = dloss", _TAGGER),
    Fault(_MODELS + "sequence_tagger.py", "self.head.backward(head, dscores[real])",
          "self.head.backward(head, dscores[real][::-1])", _TAGGER),
    Fault(_MODELS + "sequence_tagger.py", '"labels after": ("crf.between", 1),', "", _TAGGER),
    Fault("fastlstm/train/tasks/tagging.py",
          "right &= np.arange(right.shape[1]) < batch.lengths[:, None]", "pass", _TAGGER),
    Fault("fastlstm/train/scoring/spans.py", "if kind and (mark != \"I\" or name != kind):",
          "if kind and mark != \"I\":", "tests/train/test_spans.py"),
    Fault(_MODELS + "horizon_decoder.py", "[:, :-1]], axis=1)", "[:, 1:]], axis=1)", _AHEAD),
    Fault(_MODELS + "horizon_decoder.py", "said = self.point(outputs[-1])[:, 0]", "pass", _AHEAD),
    Fault(_MODELS + "horizon_decoder.py", "dx[kept.last] += dahead[:, 0, -self.num_targets :]",
          "pass", _AHEAD),
    Fault("fastlstm/train/row_batches.py", "return self.x, self.lengths, self.future",
          "return self.x, self.lengths, self.future[::-1]", _AHEAD),
)  # fmt: skip
