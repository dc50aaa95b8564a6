# Products of matrices.
# Part of _native.pyx.

cdef class PackedMatrix:
    """A matrix B [m,K] as the products of a precision read it; later changes to B are not seen."""
    cdef const fl_kernels *kernels
    cdef str precision
    cdef fl_matmul p
    cdef object packed
    cdef View held

    def __cinit__(self, b, str precision):
        cdef View v = view(b, "b", (-1, -1), "f", 0)
        check_matmul(precision, v.b.shape[1])
        if not v.b.len:
            raise ValueError(f"b has shape {v.shape()}, expected no empty axis")
        self.kernels, self.precision = kernels_in(precision, 4), precision
        memset(&self.p, 0, sizeof(self.p))
        self.p.batch, self.p.m, self.p.K = 1, v.b.shape[0], v.b.shape[1]
        self.p.b = v.b.buf
        self.packed = np.empty(self.kernels.matrix_size(&self.p), np.float32)
        self.held = view(self.packed, "packed", (-1,), "f", 0, True)
        with nogil:
            self.kernels.pack_matrix(&self.p, self.held.b.buf)

    @property
    def shape(self):
        """Those of B."""
        return self.p.m, self.p.K


cdef bint is_laid_out(View v, bint transposed):
    """Whether matrices stand one after the other, each by its rows, or by its columns."""
    cdef int last = v.b.ndim - 1
    cdef int64_t rows = v.b.shape[last - 1], columns = v.b.shape[last], size = v.b.itemsize
    cdef int64_t row = size if transposed else columns * size
    cdef int64_t column = rows * size if transposed else size
    if last == 2 and v.b.shape[0] > 1 and v.b.strides[0] != rows * columns * size:
        return False
    return ((rows < 2 or v.b.strides[last - 1] == row)
            and (columns < 2 or v.b.strides[last] == column))


cdef View matrices(array, str name, tuple shape, bint may_transpose, int *transposed):
    """The matrices of an array, copied if they are laid out as no product reads them."""
    cdef View v = View(array, name, shape, "f")
    transposed[0] = 0
    if is_laid_out(v, False):
        return v
    if may_transpose and is_laid_out(v, True):
        transposed[0] = 1
        return v
    return view(np.ascontiguousarray(array), name, shape, "f", 0)


cdef bint overlap(View out, View other):
    """Whether two arrays, contiguous as they are, have an element in common."""
    cdef char *o = <char *>out.b.buf
    cdef char *f = <char *>other.b.buf
    return o < f + other.b.len and f < o + out.b.len


cdef tuple read_factors(fl_matmul *p, a, b, bias, str precision):
    """Set what is multiplied; returns the views of a, b (None if it is packed) and bias."""
    cdef View va, vb = None, vbias = None
    cdef PackedMatrix packed
    cdef bint may_transpose = precision != "int8"
    cdef tuple front
    if not 2 <= np.ndim(a) <= 3:
        raise ValueError(f"a has shape {np.shape(a)}, expected two or three axes")
    va = matrices(a, "a", (-1,) * np.ndim(a), may_transpose, &p.a_transposed)
    front = va.shape()[: va.b.ndim - 2]
    p.batch = front[0] if front else 1
    p.n, p.K = va.b.shape[va.b.ndim - 2], va.b.shape[va.b.ndim - 1]
    p.a = va.b.buf
    check_matmul(precision, p.K)
    if isinstance(b, PackedMatrix):
        packed = b
        if packed.precision != precision:
            raise ValueError(f"b was packed for {packed.precision!r}, expected {precision!r}")
        if front or packed.p.K != p.K:
            raise ValueError(f"a has shape {va.shape()}, expected (any, {packed.p.K})")
        p.m, p.packed = packed.p.m, packed.held.b.buf
    else:
        vb = matrices(b, "b", (*front, -1, p.K), may_transpose, &p.b_transposed)
        p.m, p.b = vb.b.shape[vb.b.ndim - 2], vb.b.buf
    if bias is not None:
        vbias = view(bias, "bias", (p.m,), "f", 0)
        p.bias = vbias.b.buf
    return va, vb, vbias


def matmul(a, b, bias=None, *, str precision, out=None, bint add=False, int n_threads=1):
    """``a @ b^T + bias``: see `fastlstm.kernels.reference.matmul`."""
    cdef fl_matmul p
    cdef const fl_kernels *kernels
    cdef View given, v
    cdef tuple shape
    cdef int result
    memset(&p, 0, sizeof(p))
    factors = read_factors(&p, a, b, bias, precision)
    shape = (*np.shape(a)[: np.ndim(a) - 2], p.n, p.m)
    if out is None:
        if add:
            raise ValueError("add is True without `out`, expected what to add to")
        out = empty(shape, "f")
    v = view(out, "out", shape, "f", 0, True)
    for name, given in zip(("a", "b", "bias"), factors):
        if given is not None and overlap(v, given):
            raise ValueError(f"out shares memory with {name}, expected an array of its own")
    if not v.b.len:
        return out
    if not p.K:  # sums of nothing
        np.copyto(out, out if add else 0)
        return out if bias is None else np.add(out, bias, out=out)
    # of a packed matrix: the instruction set may be another one by now
    kernels = (<PackedMatrix>b).kernels if p.packed != NULL else kernels_in(precision, 4)
    p.c, p.add, p.n_threads = v.b.buf, add, n_threads
    if 2.0 * p.batch * p.n * p.m * p.K > 2e10 and current_thread() is main_thread():
        p.stop = signals
    with nogil:
        result = kernels.matmul(&p)
    if result:
        fail(result, "a product of matrices")
    return out
