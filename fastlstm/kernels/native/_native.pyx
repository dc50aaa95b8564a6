# cython: language_level=3, wraparound=False, initializedcheck=False, freethreading_compatible=True
# cython: auto_pickle=False
"""Compiled kernels: shapes and buffers are checked here, the GIL is released, C does the rest.

What a kernel reads is checked on the very objects it reads: sizes are those of the buffers held,
and tuples and lists are indexed with a check (boundscheck is on; pointers never have one).

Threads may call everything here at the same time, with Python's lock or without it: what all of them
share is constant once the module is loaded, or stands in C behind a lock (threads.c, buffers.c) or
in an atomic (the instruction set, in dispatch.c). An object that keeps something between calls lets
one thread at a time to it (turn.h).

Nothing here is pickled: streams and modules do that in Python. Methods that say so for each class are
7 KB of a wheel.

This file chooses the instruction set; the others hold one idea each:
_c.pxd the C interface, _view.pxi arrays, _interrupt.pxi signals, _sequence.pxi the time loop,
_bound.pxi the same over arrays that stay,
_stream.pxi single steps, _many.pxi many models in one call, _step.pxi steps of torch's cells,
_dlpack.pxi what torch's tensors are,
_matmul.pxi products of matrices, _chain.pxi chains of stages, _pool.pxi pooling, _adam.pxi the
optimizer, _softmax.pxi the softmax over a vocabulary, _sparse.pxi sparse rows,
_crf.pxi conditional random fields.
"""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_IsContiguous,
    PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals, PyErr_Clear
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid
from cpython.ref cimport Py_DECREF, Py_REFCNT, PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastlstm.kernels.native._c cimport *

import os
import sys
from math import prod
from threading import current_thread, main_thread

import numpy as np

from fastlstm.counts import count_of
from fastlstm.kernels.adam import read_adam
from fastlstm.kernels.arguments import (
    check_int8_weights,
    check_kept,
    check_layers,
    check_matmul,
    check_precision,
    check_recompute,
    plain,
)
from fastlstm.kernels.call import Tokens
from fastlstm.kernels.chain import (
    Convolution,
    Map,
    Recurrence,
    is_finite,
    read_chain,
    read_signal,
    state_of,
)
from fastlstm.kernels.parts import cut
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.sizes import MemoryUse, check_sizes
from fastlstm.kernels.softmax import read_softmax
from fastlstm.kernels.sparse import (
    EndedError,
    LogisticSolution,
    SparseRows,
    check_count,
    read_columns,
    read_keys,
    read_logistic,
    read_offsets,
    read_rows,
)
from fastlstm.kernels.spec import CELLS, CellSpec
from fastlstm.kernels.steps import STREAM_IN_USE, read_states, read_step, wrong_row


def built_isas():
    """Names of the instruction sets in this build, best first."""
    cdef const char *const *names = fl_isa_names()
    cdef list found = []
    cdef int i = 0
    while names[i] != NULL:
        if fl_isa_built(names[i]):
            found.append(names[i].decode())
        i += 1
    return found


def supported_isas():
    """Those of `built_isas` that this processor and its operating system can run."""
    return [name for name in built_isas() if fl_isa_supported(name.encode())]


def isa():
    """Name of the instruction set in use."""
    return fl_isa_in_use().decode()


def set_isa(name):
    """Use the kernels of another instruction set.

    Raises
    ------
    ValueError
        If the name is unknown, or this build or machine lacks it.
    """
    if name not in supported_isas() or not fl_use(name.encode()):
        raise ValueError(
            f"isa is {name!r}, expected one of {', '.join(supported_isas())} "
            f"(built: {', '.join(built_isas())}; this machine runs those named first)"
        )


set_isa(os.environ.get("FASTLSTM_ISA") or supported_isas()[0])


cdef const fl_kernels *kernels_of(int itemsize):
    return fl_kernels_in_use(itemsize, FL_FULL)


cdef const fl_kernels *kernels_in(str precision, int itemsize) noexcept:
    """The kernels of cells, their products made in a checked precision."""
    if precision == "float32":
        return kernels_of(itemsize)
    return fl_kernels_in_use(4, FL_BFLOAT16 if precision == "bfloat16" else FL_INT8)


def cell_names():
    """Names of the cells in this build, in the order of their numbers."""
    cdef const fl_kernels *k = kernels_of(4)
    cdef const char *name
    cdef list names = []
    while True:
        name = k.cell_name(len(names))
        if name == NULL:
            return names
        names.append(name.decode())


# Looked up once: a single step takes a few microseconds in all.
cdef object new_array = np.empty
cdef object ndarray = np.ndarray

cdef dict _numbers = {name: i for i, name in enumerate(cell_names())}
cdef list _rows = [CELLS[name] for name in _numbers]


cdef tuple arrays_of(cell):
    """What says which arrays of a cell a kernel reads and writes."""
    return cell.gates, cell.states, cell.split, cell.late, cell.params, cell.projects


cdef int number_of(cell) except -1:
    """The number in C of a row of `spec.CELLS`, or of its like with other activations."""
    number = _numbers.get(cell.name)
    if number is None:
        raise NotImplementedError(f"the extension has {', '.join(_numbers)}, not {cell.name}")
    row = _rows[number]
    if cell is not row and (type(cell) is not CellSpec or arrays_of(cell) != arrays_of(row)):
        raise ValueError(f"the cell {cell.name} is none of CELLS: it has other arrays")
    return number


include "_view.pxi"
include "_interrupt.pxi"
include "_sequence.pxi"
include "_bound.pxi"
include "_stream.pxi"
include "_many.pxi"
include "_dlpack.pxi"
include "_step.pxi"
include "_matmul.pxi"
include "_chain.pxi"
include "_pool.pxi"
include "_adam.pxi"
include "_softmax.pxi"
include "_sparse.pxi"
include "_crf.pxi"


# For tests.

cdef elementwise(array, str isa, str precision, int which):
    cdef const fl_kernels *k
    cdef View a, b
    array = np.ascontiguousarray(array).ravel()
    out = np.empty_like(array)
    format = format_of(array, "array")
    name = isa.encode() if isa else <bytes>fl_isa_in_use()
    k = fl_get_kernels(name, 8 if format == "d" else 4,
                       {"float32": FL_FULL, "bfloat16": FL_BFLOAT16, "int8": FL_INT8}[precision])
    if k == NULL:
        raise ValueError(f"isa is {isa!r}, expected one of {', '.join(supported_isas())}")
    a = view(array, "array", (-1,), format, 0)
    b = view(out, "out", (-1,), format, 0, True)
    if which == 0:
        k.exp(len(array), a.b.buf, b.b.buf)
    elif which == 1:
        k.sigmoid(len(array), a.b.buf, b.b.buf)
    else:
        k.tanh(len(array), a.b.buf, b.b.buf)
    return out


def vec_exp(array, isa=None):
    """exp of each element, as the kernels compute it: flat."""
    return elementwise(array, isa, "float32", 0)


def vec_sigmoid(array, isa=None, precision="float32"):
    """Likewise the logistic function, as beside products in a precision."""
    return elementwise(array, isa, precision, 1)


def vec_tanh(array, isa=None, precision="float32"):
    """Likewise tanh."""
    return elementwise(array, isa, precision, 2)


def mxcsr():
    """The calling thread's floating-point control register."""
    return fl_float_state()


def be_patient(bint yes):
    """Whether small work too waits for all its threads, whatever else runs: for tests of them."""
    fl_be_patient(yes)


def cached_bytes():
    """Bytes of freed buffers kept for the next call."""
    return fl_cached_bytes()


def trim():
    """Give the kept buffers back to the system."""
    fl_trim()
