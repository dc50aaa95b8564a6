# Products of matrices in lower precision.
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


def matmul(a, b, bias=None, *, str precision, out=None, bint add=False, int n_threads=1):
    """``a @ b^T + bias`` in lower precision: see `fastlstm.kernels.reference.matmul`."""
    cdef fl_matmul p
    cdef const fl_kernels *kernels
    cdef PackedMatrix packed = b if isinstance(b, PackedMatrix) else None
    cdef View va, vb, vc, held
    cdef int result, may = precision == "bfloat16"
    cdef tuple front
    cdef int64_t rows
    memset(&p, 0, sizeof(p))
    if not 2 <= np.ndim(a) <= 3:
        raise ValueError(f"a has shape {np.shape(a)}, expected two or three axes")
    va = matrices(a, "a", (-1,) * np.ndim(a), may, &p.a_transposed)
    front = va.shape()[: va.b.ndim - 2]
    p.batch = front[0] if front else 1
    p.n, p.K = va.b.shape[va.b.ndim - 2], va.b.shape[va.b.ndim - 1]
    p.a = va.b.buf
    check_matmul(precision, p.K)
    kernels = kernels_in(precision, 4)
    if packed is not None:
        if packed.precision != precision:
            raise ValueError(f"b was packed for {packed.precision!r}, expected {precision!r}")
        kernels = packed.kernels  # the instruction set may be another one now
        if front or packed.p.K != p.K:
            raise ValueError(f"a has shape {va.shape()}, expected (any, {packed.p.K})")
        p.m, p.packed = packed.p.m, packed.held.b.buf
    else:
        vb = matrices(b, "b", (*front, -1, p.K), may, &p.b_transposed)
        p.m, p.b = vb.b.shape[vb.b.ndim - 2], vb.b.buf
    if bias is not None:
        held = view(bias, "bias", (p.m,), "f", 0)
        p.bias = held.b.buf
    if out is None:
        if add:
            raise ValueError("add is True without `out`, expected what to add to")
        out = empty((*front, p.n, p.m), "f")
    vc = view(out, "out", (*front, p.n, p.m), "f", 0, True)
    if not vc.b.len:
        return out
    if not p.K:
        if not add:
            out[...] = 0
        if bias is not None:
            out += bias
        return out
    p.c, p.add, p.n_threads = vc.b.buf, add, n_threads
    if 2.0 * p.batch * p.n * p.m * p.K > 2e10 and current_thread() is main_thread():
        p.stop = signals
    with nogil:
        result = kernels.matmul(&p)
    if result:
        fail(result, "a product of matrices")
    return out
