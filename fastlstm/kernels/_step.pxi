# One step of torch's cells: tensors in and out, with as little as can be between them and C.
# Part of _native.pyx.

DEF MOST = 64

# Rows of a batch in which each has one step.
cdef int64_t _order[MOST]
cdef int64_t _one[MOST]
for _row in range(MOST):
    _order[_row], _one[_row] = _row, 1


cdef class Kept:
    """A step, and what it keeps for its backward pass."""
    cdef fl_call p
    cdef const fl_cell *cell
    cdef int64_t n
    cdef int64_t[2] offset
    cdef object __weakref__

    def __dealloc__(self):
        fl_free(self.p.gates)
        fl_free(self.p.cells)
        fl_free(self.p.extra)



cdef void *address(tensor) except? NULL:
    return NULL if tensor is None else <void *><size_t>tensor.data_ptr()


cdef void *dense_address(tensor, list held) except? NULL:
    """That of the tensor or, if it is not contiguous, of a copy, which is held."""
    if tensor is None:
        return NULL
    if not tensor.is_contiguous() or tensor.is_neg():
        tensor = tensor.contiguous().resolve_neg()
        held.append(tensor)
    return address(tensor)


cdef class TensorStep:
    """Steps of a cell on torch's tensors, where nothing about them is unusual.

    The tensors of a step come in one order everywhere: x [N,I], its states [N,H], w_ih [GH,I], w_hh
    [GH,H], b_ih and b_hh [GH]; the biases None where there are none.

    Parameters
    ----------
    cell : its number.
    types : of tensors and parameters; others may mean something else by the same methods.
    float32, float64 : torch's dtypes.
    empty_like, zeros_like : torch's functions.
    """
    cdef int cell, gates, states
    cdef tuple types
    cdef object float32, float64, empty_like, zeros_like

    def __cinit__(self, int cell, tuple types, float32, float64, empty_like, zeros_like):
        self.cell, self.gates, self.states = cell, GATES[cell], STATES[cell]
        self.types, self.float32, self.float64 = types, float32, float64
        self.empty_like, self.zeros_like = empty_like, zeros_like

    cdef bint like(self, tensor, dtype, tuple shape) except -1:
        return (type(tensor) in self.types and tensor.dtype is dtype and tensor.shape == shape
                and tensor.is_cpu and tensor.is_contiguous() and not tensor.is_neg())

    def plain(self, tuple tensors not None):
        """Whether this class may be given the tensors: their types, shapes and layouts."""
        cdef int64_t N, I, H, G = self.gates
        cdef int i, w = self.states + 1
        if len(tensors) != w + 4:
            return False
        x, w_ih, w_hh, b_ih, b_hh = (tensors[0], tensors[w], tensors[w + 1], tensors[w + 2],
                                     tensors[w + 3])
        if type(x) not in self.types or type(w_hh) not in self.types:
            return False
        if x.ndim != 2 or w_hh.ndim != 2:
            return False
        dtype = w_hh.dtype
        N, I = x.shape
        H = w_hh.shape[1]
        if not (dtype is self.float32 or dtype is self.float64):
            return False
        if not 0 < N <= MOST or I == 0 or H == 0:
            return False
        state = (N, H)
        for i in range(1, w):
            if not self.like(tensors[i], dtype, state):
                return False
        return (self.like(x, dtype, (N, I))
                and self.like(w_ih, dtype, (G * H, I))
                and self.like(w_hh, dtype, (G * H, H))
                and (b_ih is None or self.like(b_ih, dtype, (G * H,)))
                and (b_hh is None or self.like(b_hh, dtype, (G * H,))))

    cdef Kept place(self, tuple tensors, int n_threads):
        """The call of a step, its inputs set."""
        cdef Kept k = Kept()
        cdef fl_call *p = &k.p
        cdef int w = self.states + 1
        x, w_hh = tensors[0], tensors[w + 1]
        k.cell = kernels_of(8 if w_hh.dtype is self.float64 else 4).cells[self.cell]
        k.n = k.offset[1] = p.rows.N = x.shape[0]
        p.rows.T = 1
        p.rows.order, p.rows.length, p.rows.n_at, p.rows.offset = _order, _one, &k.n, k.offset
        p.input.I = p.input.x_n = x.shape[1]
        p.H = p.R = p.y_n = w_hh.shape[1]
        p.n_threads = n_threads
        self.point(k, tensors)
        return k

    cdef int point(self, Kept k, tuple tensors) except -1:
        """Set where the inputs are."""
        cdef fl_call *p = &k.p
        cdef int w = self.states + 1
        p.input.x, p.h0 = address(tensors[0]), address(tensors[1])
        p.c0 = address(tensors[2]) if self.states == 2 else NULL
        p.weights.w_ih, p.weights.w_hh = address(tensors[w]), address(tensors[w + 1])
        p.weights.b_ih, p.weights.b_hh = address(tensors[w + 2]), address(tensors[w + 3])
        return 0

    cdef tuple run(self, Kept k, tuple tensors):
        cdef int failed
        h = self.empty_like(tensors[1])
        ends = (h, self.empty_like(tensors[2])) if self.states == 2 else (h,)
        k.p.y = k.p.h_n = address(h)
        k.p.c_n = address(ends[1]) if self.states == 2 else NULL
        with nogil:
            failed = k.cell.forward(&k.p)
        if failed:
            raise MemoryError("no memory for a step")
        return ends

    def __call__(self, tuple tensors not None, int n_threads):
        """The new states, of tensors that are `plain`."""
        return self.run(self.place(tensors, n_threads), tensors)

    def save(self, tuple tensors not None, int n_threads):
        """The new states, and what `backward` needs."""
        cdef Kept k = self.place(tensors, n_threads)
        keep(&k.p, k.cell, 8 if tensors[1].dtype is self.float64 else 4)
        return self.run(k, tensors), k

    def backward(self, Kept k not None, tuple tensors not None, tuple dstate not None,
                 bint with_dx, int n_threads):
        """Gradients in the order of the tensors, given those of the new states (or None).

        What was kept serves once. Without `with_dx` that of x is None.
        """
        cdef fl_grads g
        cdef int failed, w = self.states + 1
        cdef list held = []
        memset(&g, 0, sizeof(g))
        self.point(k, tensors)
        g.dh_n = dense_address(dstate[0], held)
        g.dc_n = dense_address(dstate[1], held) if self.states == 2 else NULL
        found = [self.empty_like(t) for t in tensors[:w]]
        if not with_dx:
            found[0] = None
        found += [None if t is None else self.zeros_like(t) for t in tensors[w:]]
        g.dx, g.dx_n, g.dh0 = address(found[0]), k.p.input.I, address(found[1])
        g.dc0 = address(found[2]) if self.states == 2 else NULL
        g.dw_ih, g.dw_hh = address(found[w]), address(found[w + 1])
        g.db_ih, g.db_hh = address(found[w + 2]), address(found[w + 3])
        k.p.n_threads = n_threads
        with nogil:
            failed = k.cell.backward(&k.p, &g)
        if failed:
            raise MemoryError("no memory for the backward pass of a step")
        return found
