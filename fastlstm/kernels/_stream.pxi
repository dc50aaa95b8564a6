# Single steps.
# Part of _native.pyx.

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

    cdef bint hold(self, x, Py_buffer *b) except -1:
        """Whether x is [N,I] as the kernel reads it; then its buffer is held."""
        if not PyObject_CheckBuffer(x):
            return False
        PyObject_GetBuffer(x, b, PyBUF_FORMAT | PyBUF_STRIDES)
        if (b.ndim == 2 and b.shape[0] == self.N and b.shape[1] == self.I
                and b.itemsize == self.itemsize and b.format[0] == <char>ord(self.format)
                and (self.I == 1 or b.strides[1] == self.itemsize)
                and b.strides[0] % self.itemsize == 0
                and <size_t>b.buf % <size_t>self.itemsize == 0):
            return True
        PyBuffer_Release(b)
        return False

    def __call__(self, x, /):
        """Advance by one step: x [N,I] -> y [N,H] of the last layer, a new array; or [I] -> [H]."""
        cdef Py_buffer in_, out
        cdef int64_t k
        cdef int failed = 0
        if not self.hold(x, &in_):
            x, single = read_step(x, (self.N, self.I), self.dtype)
            y = self(x)
            return y[0] if single else y
        try:
            y = np.empty((self.N, self.H), self.dtype)
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
        self.h[...], self.c[...] = read_states(value, self.h.shape, self.dtype)
