# One step on bare memory, for callers whose own call must cost next to nothing.
# Part of _native.pyx.

DEF ROWS = 64

# Rows of a batch in which each has one step.
cdef int64_t _order[ROWS]
cdef int64_t _one[ROWS]
for _row in range(ROWS):
    _order[_row], _one[_row] = _row, 1


cdef int step_on(const fl_cell *cell, int64_t N, int64_t I, int64_t H, void **from_,
                 void *h, void *c) except -1:
    """One step from [x, w_ih, w_hh, b_ih, b_hh, h, c], all C-contiguous, to new states."""
    cdef fl_call p
    cdef int64_t[2] offset = [0, N]
    cdef int failed
    memset(&p, 0, sizeof(p))
    p.rows.T, p.rows.N = 1, N
    p.rows.order, p.rows.length, p.rows.n_at, p.rows.offset = _order, _one, &N, offset
    p.input.I = p.input.x_n = I
    p.H = p.R = p.y_n = H
    p.input.x, p.weights.w_ih, p.weights.w_hh = from_[0], from_[1], from_[2]
    p.weights.b_ih, p.weights.b_hh, p.h0, p.c0 = from_[3], from_[4], from_[5], from_[6]
    p.y = p.h_n = h
    p.c_n = c
    p.n_threads = 1
    with nogil:
        failed = cell.forward(&p)
    if failed:
        raise MemoryError("no memory for a step")
    return 0


cdef class TensorStep:
    """Steps of a cell on torch's tensors, where nothing about them is unusual.

    Parameters
    ----------
    cell : its number.
    types : of tensors and parameters; others may mean something else by the same methods.
    float32, float64 : torch's dtypes.
    empty_like : makes a new state.
    """
    cdef int cell, gates, states
    cdef tuple types
    cdef object float32, float64, empty_like

    def __cinit__(self, int cell, tuple types, float32, float64, empty_like):
        self.cell, self.gates, self.states = cell, GATES[cell], STATES[cell]
        self.types, self.float32, self.float64 = types, float32, float64
        self.empty_like = empty_like

    cdef void *address(self, tensor, dtype, tuple shape) except? NULL:
        """Where a tensor's numbers are; NULL if it is not of the plain kind."""
        if (type(tensor) in self.types and tensor.dtype is dtype and tensor.shape == shape
                and tensor.is_cpu and tensor.is_contiguous() and not tensor.is_neg()):
            return <void *><size_t>tensor.data_ptr()
        return NULL

    def __call__(self, weights, x, tuple states, /):
        """The new states; None if a tensor is not of the plain kind, or there is nothing to do.

        Parameters
        ----------
        weights : w_ih [GH,I], w_hh [GH,H], b_ih, b_hh [GH]; the biases may be None.
        x : [N,I], N up to 64.
        states : [N,H] each.
        """
        cdef void *at[7]
        cdef const fl_kernels *kernels
        cdef int64_t N, I, H, G = self.gates
        cdef int i
        w_ih, w_hh, b_ih, b_hh = weights
        dtype = w_hh.dtype
        if len(states) != self.states or x.ndim != 2 or w_hh.ndim != 2:
            return None
        N, I = x.shape
        H = w_hh.shape[1]
        if dtype is self.float32:
            kernels = kernels_of(4)
        elif dtype is self.float64:
            kernels = kernels_of(8)
        else:
            return None
        if not 0 < N <= ROWS or I == 0 or H == 0:
            return None
        at[0] = self.address(x, dtype, (N, I))
        at[1] = self.address(w_ih, dtype, (G * H, I))
        at[2] = self.address(w_hh, dtype, (G * H, H))
        at[3] = NULL if b_ih is None else self.address(b_ih, dtype, (G * H,))
        at[4] = NULL if b_hh is None else self.address(b_hh, dtype, (G * H,))
        at[5] = self.address(states[0], dtype, (N, H))
        at[6] = NULL if self.states == 1 else self.address(states[1], dtype, (N, H))
        if (at[0] == NULL or at[1] == NULL or at[2] == NULL or at[5] == NULL
                or (at[3] == NULL and b_ih is not None) or (at[4] == NULL and b_hh is not None)
                or (at[6] == NULL and self.states == 2)):
            return None
        h = self.empty_like(states[0])
        c = self.empty_like(states[1]) if self.states == 2 else None
        step_on(kernels.cells[self.cell], N, I, H, at, <void *><size_t>h.data_ptr(),
                NULL if c is None else <void *><size_t>c.data_ptr())
        return (h,) if c is None else (h, c)
