"""Faults in the C kernels. They are compiled for the baseline instruction set alone."""

from __future__ import annotations

from attack.faults.fault import Fault

_SRC = "fastlstm/kernels/native/src/"
_PROCESS = "tests/kernels/test_process.py tests/kernels/test_contracts.py"
_BACKWARD, _ROWS = "tests/kernels/test_backward.py", "tests/kernels/test_contracts.py"
_BASE = "native-base"

KERNELS = (
    Fault(
        _SRC + "lstm.h",
        "vfma(a.f, vload(s->c_in[r] + j * VL), a.i * a.g)",
        "vfma(a.f, vload(s->c_in[r] + j * VL), a.i * a.o)",
        "tests/kernels/test_definitions.py",
        _BASE,
    ),
    Fault(
        _SRC + "lstm.h",
        "d->f = gate_backward(others, k, a->f, dc * c);",
        "d->f = gate_backward(others, k, a->f, dc * t);",
        _BACKWARD,
        _BASE,
    ),
    Fault(
        _SRC + "lstm.h",
        "if (dy) dhj += vload_n(dy + u, min64(VL, k->p->H - u));",
        "if (dy && step) dhj += vload_n(dy + u, min64(VL, k->p->H - u));",
        _BACKWARD,
        _BASE,
    ),
    Fault(
        _SRC + "lstm.h",
        "if (dy) s += vload_n(dy + u, min64(VL, k->p->R - u));",
        "if (dy && step) s += vload_n(dy + u, min64(VL, k->p->R - u));",
        _BACKWARD,
        _BASE,
    ),
    Fault(
        _SRC + "gru.h", "vstore(dh + u, d * z);", "vstore(dh + u, d * (1 - z));", _BACKWARD, _BASE
    ),
    Fault(
        _SRC + "gru.h",
        "store_kept(g + 2 * VL, dn * r);",
        "store_kept(g + 2 * VL, dn);",
        _BACKWARD,
        _BASE,
    ),
    Fault(
        _SRC + "gru.h",
        "return vfma(z, h - n, n); }",
        "return vfma(z, n - h, h); }",
        "tests/kernels/test_definitions.py",
        _BASE,
    ),
    Fault(
        _SRC + "gru_reset_before.h",
        "vreal to_n = value_backward(others, k, n, d * (1 - z));",
        "vreal to_n = value_backward(others, k, n, d * z);",
        _BACKWARD,
        _BASE,
    ),
    Fault(
        _SRC + "rnn.h",
        "store_kept(z + u, vrelu_backward(h, d));",
        "store_kept(z + u, d);",
        _BACKWARD,
        _BASE,
    ),
    Fault(
        _SRC + "rnn.h",
        "store_kept(z + u, value_backward(which == RNN_IS_OTHER, k, h, d));",
        "store_kept(z + u, d * (1 - h));",
        _BACKWARD,
        _BASE,
    ),
    Fault(
        _SRC + "forward.h",
        "for (int64_t t = last + 1; t < b->T; t++)",
        "for (int64_t t = last + 2; t < b->T; t++)",
        _ROWS,
        _BASE,
    ),
    Fault(
        _SRC + "forward.h",
        "if (p->reset) read_state(k, p->reset_c",
        "if (0) read_state(k, p->reset_c",
        _ROWS,
        _BASE,
    ),
    Fault(
        _SRC + "rows.h",
        "return b->reverse ? b->length[row] - 1 - step : step;",
        "return b->reverse ? b->T - 1 - step : step;",
        _ROWS,
        _BASE,
    ),
    Fault(
        _SRC + "share.h",
        "max64(0, min64(n - first, size))",
        "max64(0, min64(n - first, size - 1))",
        _ROWS,
        _BASE,
    ),
    Fault(
        _SRC + "adam.h",
        "vfma(vsqrt(vi), root, eps)",
        "(vsqrt(vi) + eps) * root",
        "tests/kernels/test_adam.py",
        "base",
    ),
    Fault(
        _SRC + "adam.h",
        "vset1((real)(1 - a->beta2))",
        "1 - beta2",
        "tests/kernels/test_adam.py",
        "base",
    ),
    Fault(
        _SRC + "adam.h",
        "const real *g = (const real *)a->g + r * a->width;",
        "const real *g = (const real *)a->g + r0 * a->width;",
        "tests/kernels/test_adam.py",
        "base",
    ),
    Fault(
        _SRC + "softmax.h",
        "if (sums) sums[t] = before + r.z[t];",
        "",
        "tests/kernels/test_softmax_kernel.py",
        "base",
    ),
    Fault(
        _SRC + "softmax.h",
        "load_logits(r, v, lanes), 0, -FL_LEAST)",
        "load_logits(r, v, lanes), 0, FL_MOST)",
        "tests/kernels/test_softmax_kernel.py",
        "base",
    ),
    Fault(
        _SRC + "softmax.h",
        "for (int64_t l = lanes; l < VL; l++) x[l] = -INFINITY;",
        "",
        "tests/kernels/test_softmax_kernel.py",
        "base",
    ),
    Fault(
        _SRC + "tile_product.h",
        "if (k + TILE_K < m->K) continue;",
        "if (k) continue;",
        "tests/c/test_c_precision.py",
        "emulated and lower_precision",
    ),
    Fault(
        _SRC + "tile_product.h",
        "while (s->r < s->end) end_some(s, MAX_ROWS);",
        "end_some(s, MAX_ROWS);",
        "tests/c/test_c_precision.py",
        "emulated and lower_precision",
    ),
    Fault(
        _SRC + "weight_tiles.h",
        "p = w->first[q];",
        "p = q;",
        "tests/c/test_c_precision.py",
        "emulated and lower_precision",
    ),
    Fault(
        _SRC + "denormals.c",
        "fl_restore_denormals(state | FLUSH);",
        "(void)state;",
        _PROCESS,
        "denormal",
    ),
)
