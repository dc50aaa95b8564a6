"""Faults in products of lower precision: rounding, scales, the order in words, what is refused.

Those in C are compiled for the baseline instruction set, as in `kernels`. The others are in
`quantize_dynamic`, and in what it puts in the place of torch's modules.
"""

from __future__ import annotations

from attack.faults.fault import Fault

_SRC, _TORCH = "fastlstm/kernels/native/src/", "fastlstm/torch/"
_OPERAND = _SRC + "operand.h"
_PRODUCTS, _BASE = "tests/kernels/precision", "native-base"
_KEPT = "tests/kernels/precision/test_kept.py"
_MATMUL, _MATRICES = _SRC + "matmul.h", "tests/kernels/precision/test_matmul.py"
_QUANTIZED = "tests/torch_nn/test_quantize_dynamic.py"

PRECISION = (
    # bfloat16
    Fault(
        _OPERAND,
        "(u + 0x7fff + ((u >> 16) & 1)) >> 16;",
        "(u + 0x8000) >> 16;",
        _PRODUCTS,
        _BASE,
    ),
    Fault(_OPERAND, "(nan & (u >> 16 | 0x40)) | (~nan & rounded)", "rounded", _PRODUCTS, _BASE),
    Fault(
        _OPERAND,
        "both[FL_PLACE(VL + l)] = (uint16_t)s[l];",
        "both[FL_PLACE(VL + l)] = (uint16_t)f[l];",
        _PRODUCTS,
        _BASE,
    ),
    Fault(
        _OPERAND,
        "return vfma((vreal)(ai & 0xffff0000u), (vreal)(bi & 0xffff0000u), sum);",
        "return vfma((vreal)ai, (vreal)bi, sum);",
        _PRODUCTS,
        _BASE,
    ),
    Fault(
        _SRC + "pack.h",
        "vstore(to + (k + i) / 2 * step, word_of(r[i], r[i + 1]));",
        "vstore(to + (k + i) / 2 * step, word_of(r[i + 1], r[i]));",
        _PRODUCTS,
        _BASE,
    ),
    Fault(
        _SRC + "pack.h",
        "vstore(to + c, word_of(r[0], r[1]));",
        "vstore(to + c, word_of(r[1], r[0]));",
        _PRODUCTS,
        _BASE,
    ),
    Fault(
        _SRC + "weight_grad.h",
        "g = kept_word(g, next);",
        "g = kept_word(next, g);",
        _PRODUCTS,
        _BASE,
    ),
    # products of matrices
    Fault(
        _MATMUL,
        "if (bias) sum += vload_n(bias + v, lanes);",
        "if (bias && !of->p->add) sum += vload_n(bias + v, lanes);",
        _MATRICES,
        _BASE,
    ),
    Fault(
        _MATMUL,
        "columns = min64(PANEL, of->p->m - at);",
        "columns = min64(PANEL, (of->p->m - at) / 2 * 2);",
        _MATRICES,
        _BASE,
    ),
    Fault(
        _MATMUL,
        "store_words(to + (r + l) * step + q,",
        "store_words(to + r * step + q,",
        _MATRICES,
        _BASE,
    ),
    Fault(
        _MATMUL,
        "(const real *)p->b + i * p->m * p->K",
        "(const real *)p->b",
        _MATRICES,
        _BASE,
    ),
    # what bfloat16 keeps
    Fault(_SRC + "kept.h", "vselect(s > 0.5f, below, s)", "s", _KEPT, _BASE),
    Fault(
        _SRC + "lstm.h",
        "to_nearer(o) * (real)(FL_NO_CELL / 2)",
        "to_nearer(o) * (real)0",
        _KEPT,
        _BASE,
    ),
    Fault(
        _SRC + "lstm.h",
        "vclamp(h / t, 0, 1)",
        "vclamp(t / h, 0, 1)",
        _KEPT,
        _BASE,
    ),
    Fault(
        _SRC + "gru.h",
        "found = vload_n(after, lanes) - z * h;",
        "found = vload_n(after, lanes) + z * h;",
        _KEPT,
        _BASE,
    ),
    Fault(
        _SRC + "plan.h",
        "most = ripe_rows(k) + k->p->rows.N;",
        "most = ripe_rows(k) / 2;",
        _KEPT,
        _BASE,
    ),
    # 8 bits
    Fault(
        _OPERAND,
        "return (vint)(v + most) - (vint)most;",
        "return __builtin_convertvector(v, vint) + 0 * (vint)most;",
        _PRODUCTS,
        _BASE,
    ),
    Fault(_OPERAND, "#define FL_LEVELS 127.0f", "#define FL_LEVELS 126.0f", _PRODUCTS, _BASE),
    Fault(_OPERAND, "FL_LEAST_SCALED 0x1p-118f", "FL_LEAST_SCALED 0x1p-126f", _PRODUCTS, _BASE),
    Fault(
        _OPERAND,
        "{(vint)vset1(floor), (vint)vset1(floor)}",
        "{(vint)vset1(0 * floor), (vint)vset1(0 * floor)}",
        _PRODUCTS,
        _BASE,
    ),
    Fault(
        _OPERAND,
        "bytes[FL_PLACE(i * VL + l)]",
        "bytes[FL_PLACE(i * VL + l) ^ 1]",
        _PRODUCTS,
        _BASE,
    ),
    Fault(
        _SRC + "pack.h",
        "sum * -128u",
        "sum * -127u",
        _PRODUCTS,
        _BASE,
    ),
    Fault(
        _SRC + "forward.h",
        "round_rows(k, rows, rows->n, p->R, bound_of_h(k));",
        "round_rows(k, rows, rows->n, p->R, 1);",
        _PRODUCTS,
        _BASE,
    ),
    Fault(
        _SRC + "lstm.h",
        "round_kept_rows(k, rows, rows->n, k->p->H, 1);",
        "round_kept_rows(k, rows, rows->n, k->p->H, 0);",
        _PRODUCTS,
        _BASE,
    ),
    # quantize_dynamic
    Fault(
        _TORCH + "rounding.py",
        "most = rows.abs().amax(1, keepdim=True)",
        "most = rows.abs().amax().expand(len(rows), 1)",
        _QUANTIZED,
    ),
    Fault(_TORCH + "rounding.py", ".mul_(most >= _SMALLEST)", ".mul_(most > 0)", _QUANTIZED),
    Fault(_TORCH + "rounding.py", "EXACT = 1040", "EXACT = 1 << 20", _QUANTIZED),
    Fault(
        _TORCH + "stored.py",
        "                for part, value in self._rounded(name, given).items():\n"
        "                    state_dict[prefix + part] = value\n",
        "                state_dict[prefix + name] = given\n",
        _QUANTIZED,
    ),
    Fault(
        _TORCH + "quantized/packed.py",
        "            and _versions(now) == self.versions\n",
        "",
        _QUANTIZED,
    ),
    Fault(
        _TORCH + "quantized/packed.py",
        "        and t.data_ptr() >= SURELY_MEMORY\n",
        "",
        _QUANTIZED,
    ),
    Fault(
        _TORCH + "quantize.py", "        model = copy.deepcopy(model)", "        pass", _QUANTIZED
    ),
    Fault(
        _TORCH + "quantize.py",
        "            if why is None and id(module) in read:",
        "            if why is None and id(module) in made:",
        _QUANTIZED,
    ),
    Fault(
        "fastlstm/nn/precision.py",
        "            for changed, value in before:\n                changed.precision = value\n",
        "",
        "tests/nn/test_precision_option.py",
    ),
)
