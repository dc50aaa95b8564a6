# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Compiled kernels: shapes and buffers are checked here, the GIL is released, C does the rest."""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

import os

import numpy as np

from fastlstm.kernels.spec import Tokens

cdef extern from "fastlstm.h" nogil:
    ctypedef struct fl_rows:
        int64_t T, N
        const int64_t *order
        const int64_t *length
        const int64_t *n_at
        const int64_t *offset
        int reverse

    ctypedef struct fl_input:
        int64_t I
        const void *x
        int64_t x_t, x_n
        const int64_t *ids
        int64_t ids_t, ids_n, U

    ctypedef struct fl_weights:
        const void *w_ih
        const void *w_hh
        const void *b_ih
        const void *b_hh

    # "in" is a keyword here
    ctypedef struct fl_lstm:
        fl_rows rows
        fl_input input "in"
        int64_t H
        fl_weights weights
        const void *packed
        const void *h0
        const void *c0
        void *y
        int64_t y_t, y_n
        void *h_n
        void *c_n
        void *gates
        void *cells
        int n_threads

    ctypedef struct fl_lstm_grads:
        const void *dy
        int64_t dy_t, dy_n
        const void *dh_n
        const void *dc_n
        void *dh0
        void *dc0
        void *dx
        int64_t dx_t, dx_n
        int accumulate_dx
        void *dw_ih
        void *dw_hh
        void *db_ih
        void *db_hh

    ctypedef struct fl_kernels:
        const char *isa
        int itemsize, width
        int64_t (*packed_size)(int64_t I, int64_t H) noexcept nogil
        void (*pack)(int64_t I, int64_t H, const fl_weights *weights, void *packed) noexcept nogil
        int64_t (*gates_size)(int64_t H) noexcept nogil
        int64_t (*cells_size)(int64_t H) noexcept nogil
        int (*lstm_forward)(const fl_lstm *p) noexcept nogil
        int (*lstm_backward)(const fl_lstm *p, const fl_lstm_grads *g) noexcept nogil
        void (*exp)(int64_t n, const void *x, void *y) noexcept nogil
        void (*sigmoid)(int64_t n, const void *x, void *y) noexcept nogil
        void (*tanh)(int64_t n, const void *x, void *y) noexcept nogil

    const fl_kernels *fl_get_kernels(const char *isa, int itemsize)
    int fl_isa_built(const char *isa)
    int fl_isa_supported(const char *isa)
    const char *const *fl_isa_names()
    void *fl_alloc(size_t bytes)
    void fl_free(void *block)
    void fl_trim()
    size_t fl_cached_bytes()
    uint64_t fl_float_state()


# ---- instruction sets ------------------------------------------------------------------------

cdef str _isa = None


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
    return _isa


def set_isa(name):
    """Use the kernels of another instruction set.

    Raises
    ------
    ValueError
        If the name is unknown, or this build or machine lacks it.
    """
    global _isa
    if name not in supported_isas():
        raise ValueError(
            f"isa is {name!r}, expected one of {', '.join(supported_isas())} "
            f"(built: {', '.join(built_isas())}; this machine runs those named first)"
        )
    _isa = name


set_isa(os.environ.get("FASTLSTM_ISA") or supported_isas()[0])


cdef const fl_kernels *kernels_of(int itemsize):
    return fl_get_kernels(_isa.encode(), itemsize)


# ---- buffers ---------------------------------------------------------------------------------

cdef class View:
    """A buffer held while C works on it, with its strides in elements."""
    cdef Py_buffer b
    cdef bint held

    def __cinit__(self, array, str name, tuple shape, str format, bint writable=False):
        cdef int flags = PyBUF_FORMAT | PyBUF_STRIDES | (PyBUF_WRITABLE if writable else 0)
        cdef int i
        PyObject_GetBuffer(array, &self.b, flags)
        self.held = True
        if (self.b.format[0] if self.b.format != NULL else 66) != <char>ord(format):
            # 'l' and 'q' are both int64 where long is
            if not (format == "q" and self.b.itemsize == 8 and self.b.format[0] == 108):
                raise TypeError(f"{name} has dtype {array.dtype}, expected {DTYPES[format]}")
        if self.b.ndim != len(shape):
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        for i in range(self.b.ndim):
            if shape[i] >= 0 and self.b.shape[i] != shape[i]:
                raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
            if self.b.strides[i] % self.b.itemsize:
                raise ValueError(f"{name} has strides {array.strides}, expected whole elements")

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.b)

    cdef int64_t stride(self, int axis):
        # an axis of one element may have any stride
        return 0 if self.b.shape[axis] == 1 else self.b.strides[axis] // self.b.itemsize

    cdef bint dense(self, int axis):
        """Whether the axes from `axis` on are contiguous."""
        cdef int64_t expected = self.b.itemsize
        cdef int i
        for i in range(self.b.ndim - 1, axis - 1, -1):
            if self.b.shape[i] != 1 and self.b.strides[i] != expected:
                return False
            expected *= self.b.shape[i]
        return True


DTYPES = {"f": "float32", "d": "float64", "q": "int64"}


cdef View view(array, str name, tuple shape, str format, int dense_from, bint writable=False):
    cdef View v = View(array, name, shape, format, writable)
    if not v.dense(dense_from):
        raise ValueError(f"{name} has strides {array.strides}, expected contiguous axes")
    return v


cdef class Call:
    """The arguments of a kernel call and what keeps their memory alive."""
    cdef fl_lstm p
    cdef const fl_kernels *kernels
    cdef str format
    cdef list held
    cdef bint used

    def __cinit__(self):
        self.held = []

    def __dealloc__(self):
        self.free()

    cdef void free(self):
        fl_free(self.p.gates)
        fl_free(self.p.cells)
        self.p.gates = self.p.cells = NULL
        self.held = None

    cdef void *array(self, value, str name, tuple shape, bint writable=False) except NULL:
        cdef View v = view(value, name, shape, self.format, 0, writable)
        self.held.append(v)
        return v.b.buf

    cdef const void *optional(self, value, str name, tuple shape, bint writable=False) except? NULL:
        return NULL if value is None else self.array(value, name, shape, writable)

    cdef void set_rows(self, rows, bint reverse):
        cdef int64_t T = rows.T, N = rows.N
        cdef View v
        arrays = (rows.order, rows.lengths[rows.order], rows.n_at, rows.offset)
        names, sizes = ("order", "lengths", "n_at", "offset"), (N, N, T, T + 1)
        views = [view(a, n, (s,), "q", 0) for a, n, s in zip(arrays, names, sizes)]
        self.held += views
        self.p.rows.T, self.p.rows.N, self.p.rows.reverse = T, N, reverse
        v = views[0]
        self.p.rows.order = <const int64_t *>v.b.buf
        v = views[1]
        self.p.rows.length = <const int64_t *>v.b.buf
        v = views[2]
        self.p.rows.n_at = <const int64_t *>v.b.buf
        v = views[3]
        self.p.rows.offset = <const int64_t *>v.b.buf

    cdef set_input(self, x):
        cdef int64_t T = self.p.rows.T, N = self.p.rows.N, I = self.p.input.I
        cdef View v
        if isinstance(x, Tokens):
            v = view(x.ids, "ids", (T, N), "q", 2)
            self.held.append(v)
            self.p.input.ids = <const int64_t *>v.b.buf
            self.p.input.ids_t, self.p.input.ids_n = v.stride(0), v.stride(1)
            self.p.input.U = len(x.table)
            self.check_ids()
            self.p.input.x = self.array(x.table, "table", (self.p.input.U, I))
            return
        v = view(x, "x", (T, N, I), self.format, 2)
        self.held.append(v)
        self.p.input.x = v.b.buf
        self.p.input.x_t, self.p.input.x_n = v.stride(0), v.stride(1)

    cdef check_ids(self):
        """Only ids of real steps are read, and so checked."""
        cdef int64_t t, r, n, token, U = self.p.input.U
        cdef const fl_rows *b = &self.p.rows
        for t in range(b.T):
            for r in range(b.N):
                if b.length[r] <= t:
                    break  # sorted: all further ones have ended too
                n = b.order[r]
                token = self.p.input.ids[t * self.p.input.ids_t + n * self.p.input.ids_n]
                if token < 0 or token >= U:
                    raise IndexError(f"ids[{t}, {n}] is {token}, expected 0 to {U - 1}")

    cdef set_weights(self, weights):
        w_ih, w_hh, b_ih, b_hh = weights
        cdef int64_t H = w_hh.shape[1], I = w_ih.shape[1]
        self.p.H, self.p.input.I = H, I
        self.p.weights.w_ih = self.array(w_ih, "w_ih", (4 * H, I))
        self.p.weights.w_hh = self.array(w_hh, "w_hh", (4 * H, H))
        self.p.weights.b_ih = self.optional(b_ih, "b_ih", (4 * H,))
        self.p.weights.b_hh = self.optional(b_hh, "b_hh", (4 * H,))

    cdef int keep(self) except -1:
        """Memory for what backward needs."""
        cdef int64_t P = self.p.rows.offset[self.p.rows.T], size = self.kernels.itemsize
        cdef int64_t H = self.p.H
        self.p.gates = fl_alloc(max(P, 1) * self.kernels.gates_size(H) * size)
        self.p.cells = fl_alloc((self.p.rows.N + P) * self.kernels.cells_size(H) * size)
        if self.p.gates == NULL or self.p.cells == NULL:
            raise MemoryError(f"no memory for the gates of {P} steps of {H} units")
        return 0


cdef str format_of(array):
    code = array.dtype.char
    if code not in ("f", "d"):
        raise TypeError(f"w_hh has dtype {array.dtype}, expected float32 or float64")
    return code


# ---- sequences -------------------------------------------------------------------------------

def forward(x, h0, c0, weights, rows, y, *, bint reverse=False, bint save=False, int n_threads=1):
    """Run one layer in one direction: see `fastlstm.kernels.reference.forward`."""
    cdef Call call = Call()
    cdef View out
    cdef int64_t T = rows.T, N = rows.N, H
    cdef int failed
    call.format = format_of(weights[1])
    call.kernels = kernels_of(8 if call.format == "d" else 4)
    call.set_weights(weights)
    call.set_rows(rows, reverse)
    call.set_input(x)
    H = call.p.H
    call.p.h0 = call.array(h0, "h0", (N, H))
    call.p.c0 = call.array(c0, "c0", (N, H))
    out = view(y, "y", (T, N, H), call.format, 2, True)
    call.held.append(out)
    call.p.y, call.p.y_t, call.p.y_n = out.b.buf, out.stride(0), out.stride(1)
    h_n, c_n = np.empty_like(h0), np.empty_like(c0)
    call.p.h_n = call.array(h_n, "h_n", (N, H), True)
    call.p.c_n = call.array(c_n, "c_n", (N, H), True)
    call.p.n_threads = n_threads
    if save:
        call.keep()
    with nogil:
        failed = call.kernels.lstm_forward(&call.p)
    if failed:
        raise MemoryError(f"no memory for a forward pass of {T} steps of {N} rows")
    return h_n, c_n, (call if save else None)


def backward(Call saved not None, dy, dh_n, dc_n, grads, dx, *, bint accumulate_dx=False,
             int n_threads=1):
    """Run it backward: see `fastlstm.kernels.reference.backward`."""
    cdef fl_lstm_grads g
    cdef View v
    cdef int failed
    cdef tuple shape
    cdef int64_t T = saved.p.rows.T, N = saved.p.rows.N, H = saved.p.H, I = saved.p.input.I
    if saved.used:
        raise RuntimeError("saved was used before: run forward again, it serves one backward")
    memset(&g, 0, sizeof(g))
    if dy is not None:
        v = view(dy, "dy", (T, N, H), saved.format, 2)
        saved.held.append(v)
        g.dy, g.dy_t, g.dy_n = v.b.buf, v.stride(0), v.stride(1)
    g.dh_n = saved.optional(dh_n, "dh_n", (N, H))
    g.dc_n = saved.optional(dc_n, "dc_n", (N, H))
    if dx is not None:
        tokens = saved.p.input.ids != NULL
        shape = (T, N, I)
        if tokens:
            shape = (saved.p.input.U, I)
        v = view(dx, "dx", shape, saved.format, len(shape) - 1, True)
        saved.held.append(v)
        g.dx, g.dx_t, g.dx_n = v.b.buf, v.stride(0), v.stride(0 if tokens else 1)
    g.accumulate_dx = accumulate_dx
    dw_ih, dw_hh, db_ih, db_hh = grads
    g.dw_ih = saved.array(dw_ih, "grads.w_ih", (4 * H, I), True)
    g.dw_hh = saved.array(dw_hh, "grads.w_hh", (4 * H, H), True)
    g.db_ih = <void *>saved.optional(db_ih, "grads.b_ih", (4 * H,), True)
    g.db_hh = <void *>saved.optional(db_hh, "grads.b_hh", (4 * H,), True)
    dtype = DTYPES[saved.format]
    dh0, dc0 = np.empty((N, H), dtype), np.empty((N, H), dtype)
    g.dh0 = saved.array(dh0, "dh0", (N, H), True)
    g.dc0 = saved.array(dc0, "dc0", (N, H), True)
    saved.used = True
    saved.p.n_threads = n_threads
    with nogil:
        failed = saved.kernels.lstm_backward(&saved.p, &g)
    saved.free()
    if failed:
        raise MemoryError(f"no memory for a backward pass of {T} steps of {N} rows")
    return dh0, dc0


# ---- single steps ----------------------------------------------------------------------------

cdef class Stream:
    """One time step after another through stacked layers, the state kept inside.

    Parameters
    ----------
    layers : weights of each layer, packed here: later changes to the model are not seen.
    batch_size : N.
    """
    cdef const fl_kernels *kernels
    cdef object shape, dtype
    cdef str format
    cdef int64_t L, N, I, H, itemsize
    cdef int64_t length[1]
    cdef list packed  # arrays, one a layer
    cdef object order, lengths, n_at, offset
    cdef readonly object h, c
    cdef fl_lstm *p  # [L]
    cdef list held

    def __cinit__(self, list layers, int64_t batch_size):
        cdef Call call
        cdef View v
        cdef int64_t k, N = batch_size
        self.format = format_of(layers[0][1])
        self.itemsize = 8 if self.format == "d" else 4
        self.kernels = kernels_of(self.itemsize)
        self.dtype = DTYPES[self.format]
        self.L, self.N = len(layers), N
        self.I, self.H = layers[0][0].shape[1], layers[0][1].shape[1]
        self.h = np.zeros((self.L, N, self.H), self.dtype)
        self.c = np.zeros_like(self.h)
        self.p = <fl_lstm *>fl_alloc(self.L * sizeof(fl_lstm))
        if self.p == NULL:
            raise MemoryError("no memory for a stream")
        memset(self.p, 0, self.L * sizeof(fl_lstm))
        self.held = []
        from fastlstm.kernels.rows import Rows
        rows = Rows(1, N)
        for k in range(self.L):
            call = Call()
            call.format, call.kernels = self.format, self.kernels
            call.set_weights(layers[k])
            call.set_rows(rows, False)
            packed = np.empty(self.kernels.packed_size(call.p.input.I, self.H), self.dtype)
            v = view(packed, "packed", (-1,), self.format, 0, True)
            self.kernels.pack(call.p.input.I, self.H, &call.p.weights, v.b.buf)
            call.p.packed = v.b.buf
            call.p.input.x_n = call.p.input.I
            call.p.y_n = self.H
            call.p.n_threads = 1
            states = [view(a[k], "state", (N, self.H), self.format, 0, True)
                      for a in (self.h, self.c)]
            self.held += [call, v, *states]
            v = states[0]
            call.p.h0 = call.p.h_n = v.b.buf
            v = states[1]
            call.p.c0 = call.p.c_n = v.b.buf
            memcpy(&self.p[k], &call.p, sizeof(fl_lstm))

    def __dealloc__(self):
        fl_free(self.p)

    def __call__(self, x, /):
        """Advance by one step: x [N,I] -> y [N,H] of the last layer, a new array."""
        cdef Py_buffer in_, out
        cdef int64_t k
        cdef int failed = 0
        y = np.empty((self.N, self.H), self.dtype)
        PyObject_GetBuffer(x, &in_, PyBUF_FORMAT | PyBUF_STRIDES)
        try:
            if (in_.ndim != 2 or in_.shape[0] != self.N or in_.shape[1] != self.I
                    or in_.itemsize != self.itemsize or in_.format[0] != <char>ord(self.format)):
                raise ValueError(
                    f"x has shape {x.shape} and dtype {x.dtype}, "
                    f"expected ({self.N}, {self.I}) and {self.dtype}"
                )
            if self.I > 1 and in_.strides[1] != self.itemsize or in_.strides[0] % self.itemsize:
                raise ValueError(f"x has strides {x.strides}, expected a contiguous last axis")
            PyObject_GetBuffer(y, &out, PyBUF_WRITABLE)
            self.p[0].input.x = in_.buf
            self.p[0].input.x_n = in_.strides[0] // self.itemsize
            with nogil:
                for k in range(self.L):
                    self.p[k].y = out.buf
                    if k:
                        self.p[k].input.x = self.p[k - 1].h_n
                    failed |= self.kernels.lstm_forward(&self.p[k])
            PyBuffer_Release(&out)
        finally:
            PyBuffer_Release(&in_)
        if failed:
            raise MemoryError("no memory for a step")
        return y

    def reset(self):
        """Set the state to zero."""
        self.h[...] = 0
        self.c[...] = 0

    @property
    def state(self):
        """(h, c), each [L,N,H]: copies out, values in."""
        return self.h.copy(), self.c.copy()

    @state.setter
    def state(self, value):
        h, c = value
        if np.shape(h) != self.h.shape or np.shape(c) != self.c.shape:
            raise ValueError(
                f"state has shapes {np.shape(h)} and {np.shape(c)}, expected {self.h.shape} twice"
            )
        self.h[...], self.c[...] = h, c


# ---- for tests -------------------------------------------------------------------------------

cdef elementwise(array, str isa, int which):
    cdef const fl_kernels *k
    cdef View a, b
    array = np.ascontiguousarray(array).ravel()
    out = np.empty_like(array)
    format = format_of(array)
    k = fl_get_kernels((isa or _isa).encode(), 8 if format == "d" else 4)
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
    return elementwise(array, isa, 0)


def vec_sigmoid(array, isa=None):
    """Likewise the logistic function."""
    return elementwise(array, isa, 1)


def vec_tanh(array, isa=None):
    """Likewise tanh."""
    return elementwise(array, isa, 2)


def mxcsr():
    """The calling thread's floating-point control register."""
    return fl_float_state()


def cached_bytes():
    """Bytes of freed buffers kept for the next call."""
    return fl_cached_bytes()


def trim():
    """Give the kept buffers back to the system."""
    fl_trim()
