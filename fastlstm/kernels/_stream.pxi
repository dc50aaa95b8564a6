# Single steps.
# Part of _native.pyx.

cdef class Stream:
    """One time step after another through stacked layers, the state kept inside.

    Parameters
    ----------
    layers : weights of each layer, packed here: later changes to the model are not seen.
    batch_size : N.
    """
    cdef const fl_cell *cell
    cdef object shape, dtype
    cdef str format
    cdef int64_t L, N, I, R, itemsize
    cdef readonly tuple states  # arrays [L,N,R or H]
    cdef fl_call *p  # [L]
    cdef list held

    def __cinit__(self, int cell, list layers, int64_t batch_size):
        cdef Call call
        cdef View v
        cdef int64_t k, N = batch_size
        self.L, self.N = len(layers), N
        self.I, self.R = layers[0][0].shape[1], layers[0][1].shape[1]
        self.p = <fl_call *>fl_alloc(self.L * sizeof(fl_call))
        if self.p == NULL:
            raise MemoryError("no memory for a stream")
        self.held = []
        rows = Rows(1, N)
        for k in range(self.L):
            call = Call()
            call.set_weights(cell, layers[k])
            call.set_rows(rows, False)
            if k == 0:
                self.take_first(call)
            packed = np.empty(call.cell.packed_size(&call.p), self.dtype)
            v = view(packed, "packed", (-1,), self.format, 0, True)
            self.held += [call, v]
            call.cell.pack(&call.p, v.b.buf)
            call.p.packed = v.b.buf
            call.p.input.x_n = call.p.input.I
            call.p.y_n = self.R
            call.p.n_threads = 1
            state = tuple([a[k] for a in self.states])
            call.set_states(state, "state", &call.p.h0, &call.p.c0, True)
            call.p.h_n, call.p.c_n = <void *>call.p.h0, <void *>call.p.c0
            memcpy(&self.p[k], &call.p, sizeof(fl_call))

    cdef take_first(self, Call call):
        self.cell, self.format, self.itemsize = call.cell, call.format, call.itemsize
        self.dtype = DTYPES[self.format]
        self.states = tuple([np.zeros((self.L, *shape), self.dtype)
                             for shape in call.state_shapes()])

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
        """Advance by one step: x [N,I] -> y [N,R] of the last layer, a new array; or [I] -> [R]."""
        cdef Py_buffer in_, out
        cdef int64_t k
        cdef int failed = 0
        if not self.hold(x, &in_):
            x, single = read_step(x, (self.N, self.I), self.dtype)
            y = self(x)
            return y[0] if single else y
        try:
            y = np.empty((self.N, self.R), self.dtype)
            PyObject_GetBuffer(y, &out, PyBUF_WRITABLE)
            self.p[0].input.x = in_.buf
            self.p[0].input.x_n = in_.strides[0] // self.itemsize
            with nogil:
                for k in range(self.L):
                    self.p[k].y = out.buf
                    if k:
                        self.p[k].input.x = self.p[k - 1].h_n
                    failed |= self.cell.forward(&self.p[k])
            PyBuffer_Release(&out)
        finally:
            PyBuffer_Release(&in_)
        if failed:
            raise MemoryError("no memory for a step")
        return y

    def reset(self):
        """Set the state to zero."""
        for array in self.states:
            array[...] = 0

    @property
    def state(self):
        """Each state [L,N,R or H]: copies out, values in."""
        return tuple([array.copy() for array in self.states])

    @state.setter
    def state(self, value):
        names = CELLS[self.cell.name.decode()].states
        read = read_states(value, names, [a.shape for a in self.states], self.dtype)
        for array, part in zip(self.states, read):
            array[...] = part
