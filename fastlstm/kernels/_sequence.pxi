# LSTM over a batch, forward and backward.
# Part of _native.pyx.

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
