"""Faults in the linear classifier, its kernels, and where it is joined to a net."""

from __future__ import annotations

from attack.faults.fault import Fault

_SRC = "fastlstm/kernels/native/src/"
_LINEAR = "fastlstm/linear/"
_SOLVER, _SPARSE = "tests/kernels/test_logistic.py", "tests/kernels/test_sparse.py"
_DOOR = "fastlstm/kernels/native/_sparse.pxi"
_RUN, _PART = "fastlstm/train/classifier/", "tests/train/test_linear_part.py"
_BASE = "native-base"

LINEAR = (
    Fault(_SRC + "logistic.c", "*a = swapped ? c - z : z;", "*a = z;", _SOLVER, _BASE),
    Fault(
        _SRC + "logistic.c",
        "if (enough && whole) break;",
        "if (enough) break;",
        _SOLVER,
        _BASE,
    ),
    Fault(
        _SRC + "logistic.c",
        "s->norm += change * (2 * margin + change * s->square[n]);",
        "s->norm += change * (margin + change * s->square[n]);",
        _SOLVER,
        _BASE,
    ),
    Fault(
        _SRC + "sparse.c",
        "if (seen[f] > begin)",
        "if (seen[f] >= begin && begin)",
        _SPARSE,
        _BASE,
    ),
    Fault(
        _SRC + "sparse.c",
        "if (t->key[middle] < key)",
        "if (t->key[middle] <= key)",
        _SPARSE,
        _BASE,
    ),
    Fault(_SRC + "logistic.c", "? 1 : -1, c = p->cost[n];", "? 1 : -1, c = 1;", _SOLVER, _BASE),
    Fault(_SRC + "logistic.c", "loss + c * p->doubt[n] * margin", "loss", _SOLVER, _BASE),
    Fault(
        _SRC + "logistic.c",
        "s->rest[n] = p->cost[n] - s->a[n];",
        "s->rest[n] = p->cost[n];",
        _SOLVER,
        _BASE,
    ),
    Fault(
        _LINEAR + "targets.py",
        "np.where(self.labels == k, 1 - self.doubt, self.doubt)",
        "np.where(self.labels == k, 1.0, 0.0)",
        "tests/linear/test_soft_labels.py",
    ),
    Fault(_SRC + "logistic.c", "if (z < LEAST * c) z = LEAST * c;", "", _SOLVER, _BASE),
    Fault(_SRC + "logistic.c", "z = next > 0 ? next : 0.1 * z;", "z = next;", _SOLVER, _BASE),
    Fault(
        _SRC + "logistic.c",
        "for (; m < end; m++) sum[0]",
        "for (; m + 1 < end; m++) sum[0]",
        _SOLVER,
        _BASE,
    ),
    Fault(
        _SRC + "logistic.c",
        "for (int64_t i = s->working - 1; i > 0; i--) {",
        "for (int64_t i = s->working; i > 0; i--) {",
        _SOLVER,
        _BASE,
    ),
    Fault(_SRC + "logistic.c", "s->order[s->working] = n;", "", _SOLVER, _BASE),
    Fault(_SRC + "sparse.c", "low < t->F && t->key[low] == key", "low < t->F", _SPARSE, _BASE),
    Fault(_SRC + "sparse.c", "h <= heads; h++", "h < heads; h++", _SPARSE, _BASE),
    Fault(
        _DOOR,
        "read_columns(columns, features, -1)",
        "read_columns(columns, features + 1, -1)",
        _SPARSE,
        _BASE,
    ),
    Fault(
        _DOOR, "read_rows(rows, w.b.shape[0])", "read_rows(rows, w.b.shape[0] + 1)", _SPARSE, _BASE
    ),
    Fault(_DOOR, "given = read_logistic(problem)", "given = problem", _SOLVER, _BASE),
    Fault(
        "fastlstm/kernels/sparse.py",
        "(found < least) | (found >= features)",
        "(found < least) | (found > features)",
        _SPARSE,
        "reference",
    ),
    Fault(
        _LINEAR + "saving.py",
        "return read_keys(_array(name, arrays, np.uint64, None), name)",
        "return _array(name, arrays, np.uint64, None)",
        "tests/linear/test_bag_of_ngrams.py",
    ),
    Fault(
        "fastlstm/models/joined.py",
        "return Join(a, b, says",
        "return Join(b, a, says",
        "tests/models/test_joined.py",
    ),
    Fault(
        "fastlstm/models/joined.py",
        "self.net * net.astype(np.float64) + self.linear * linear",
        "self.linear * net.astype(np.float64) + self.net * linear",
        "tests/models/test_joined.py",
    ),
    Fault(
        _RUN + "parts.py",
        "np.zeros_like(linear) if net is None else net, linear",
        "linear, np.zeros_like(linear) if net is None else net",
        "tests/cli/test_cli_joined.py",
    ),
    Fault(
        _RUN + "parts.py",
        "if net.num_outputs != outputs_of(linear):",
        "if False:",
        "tests/attack/test_cases.py",
    ),
    Fault(_RUN + "linear_part.py", "sample_weight=self.weights_of(rows),", "", _PART),
    Fault(_RUN + "linear_part.py", "calibration=self.calibration, weights", "weights", _PART),
    Fault(
        _RUN + "linear_part.py",
        "everything = training.fit(C=best.C)",
        "everything = best.model",
        _PART,
    ),
    Fault(
        _RUN + "linear_part.py",
        "found[-1].loss < found[0].loss",
        "found[-1].loss > found[0].loss",
        _PART,
    ),
    Fault(
        _RUN + "text_config.py",
        "tokens_with_marks if config.marks else tokenize",
        "tokens_with_marks",
        "tests/train/test_train_imdb_parts.py",
    ),
    Fault(
        "fastlstm/text/corpus.py",
        "part.tokens < len(self.words) + len(self.others)",
        "part.tokens < len(self.words)",
        "tests/text/test_corpus.py",
    ),
    Fault(
        _RUN + "joining.py",
        "labels[whole.train] = data.train.labels",
        "labels[whole.train] = data.train.labels[::-1]",
        "tests/cli/test_cli_joined.py",
    ),
    Fault(
        _LINEAR + "weighting.py",
        "p[kept].sum() / q[kept].sum()",
        "p.sum() / q.sum()",
        "tests/linear/test_linear_training.py",
    ),
    Fault(
        _LINEAR + "weighting.py",
        "np.repeat(share[texts], lengths[texts])",
        "np.repeat(share[texts] > 0, lengths[texts])",
        "tests/linear/test_linear_training.py",
    ),
    Fault(
        _LINEAR + "ngrams.py",
        "inside[:, n - low] = left >= n",
        "inside[: len(state), n - low] = True",
        "tests/linear/test_ngrams.py",
    ),
    Fault(
        _LINEAR + "contributions.py",
        "found, first + token, each",
        "found, first, each",
        "tests/linear/test_bag_of_ngrams.py",
    ),
)  # fmt: skip
