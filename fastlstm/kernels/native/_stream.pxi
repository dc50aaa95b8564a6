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
    cdef object spec, dtype
    cdef str format
    cdef char code  # `format` as buffers have it
    cdef bint busy
    cdef int64_t L, N, I, R, itemsize
    cdef tuple out  # shape of a step's result
    cdef tuple states  # arrays [L,N,R or H]
    cdef fl_call *p  # [L]
    cdef list held

    def __cinit__(self, cell, list layers, int64_t batch_size, precision="float32"):
        cdef HeldCall call
        cdef View v
        cdef int64_t k
        self.held = self.read_layers(cell, layers, batch_size, precision)
        self.p = <fl_call *>fl_alloc(self.L * sizeof(fl_call))
        if self.p == NULL:
            raise MemoryError("no memory for a stream")
        for k in range(self.L):
            call = self.held[k]
            packed = np.empty(call.kernels.packed_size(&call.p), self.dtype)
            v = view(packed, "packed", (-1,), self.format, 0, True)
            self.held.append(v)
            call.kernels.pack(&call.p, v.b.buf)
            call.p.packed = v.b.buf
            call.p.input.x_n = call.p.input.I
            call.p.y_n = self.R
            call.p.n_threads = 1
            state = tuple([a[k] for a in self.states])
            call.set_states(state, "state", &call.p.h0, &call.p.c0, True)
            call.p.h_n, call.p.c_n = <void *>call.p.h0, <void *>call.p.c0
            memcpy(&self.p[k], &call.p, sizeof(fl_call))

    cdef list read_layers(self, cell, list layers, int64_t batch_size, precision):
        """The call of each layer, after checking that they fit each other: before any is packed."""
        cdef HeldCall call
        cdef list calls = [], sizes = []
        for weights in layers:
            call = HeldCall()
            call.set_weights(cell, weights, precision, False)
            calls.append(call)
            sizes.append((call.p.input.I, call.p.H, call.p.R))
            if call.format != (<HeldCall>calls[0]).format:
                raise TypeError(f"layers[{len(calls) - 1}] is of {DTYPES[call.format]}, expected "
                                f"{DTYPES[(<HeldCall>calls[0]).format]}, that of layers[0]")
        check_layers(sizes, batch_size)
        rows = Rows(1, batch_size)
        for call in calls:
            call.set_rows(rows, False)
            check_total(&call.p, call.gates)
        self.L, self.N = len(calls), batch_size
        self.take_first(calls[0])
        return calls

    cdef take_first(self, HeldCall call):
        self.kernels, self.format, self.itemsize = call.kernels, call.format, call.itemsize
        self.spec = call.spec
        self.I, self.R = call.p.input.I, call.p.R
        self.code, self.dtype = <char>ord(self.format), DTYPES[self.format]
        self.out = (self.N, self.R)
        self.states = tuple([np.zeros((self.L, *shape), self.dtype)
                             for shape in call.state_shapes()])

    def __dealloc__(self):
        fl_free(self.p)

    cdef int enter(self) except -1:
        """Claim the state for one caller: the GIL is given away during a step."""
        if self.busy:
            raise RuntimeError(STREAM_IN_USE)
        self.busy = True
        return 0

    cdef bint hold(self, x, Py_buffer *b) except -1:
        """Whether x is [N,I] as the kernel reads it; then its buffer is held."""
        if not PyObject_CheckBuffer(x):
            return False
        PyObject_GetBuffer(x, b, PyBUF_FORMAT | PyBUF_STRIDES)
        if (b.ndim == 2 and b.shape[0] == self.N and b.shape[1] == self.I
                and b.itemsize == self.itemsize and b.format[0] == self.code
                and (self.I == 1 or b.strides[1] == self.itemsize)
                and b.strides[0] % self.itemsize == 0
                and <size_t>b.buf % <size_t>self.itemsize == 0):
            return True
        PyBuffer_Release(b)
        return False

    def __call__(self, x, /):
        """Advance by one step: x [N,I] -> y [N,R] of the last layer, a new array; or [I] -> [R]."""
        cdef Py_buffer in_
        if not self.hold(x, &in_):
            x, single = read_step(x, (self.N, self.I), self.dtype)
            y = self(x)
            return y[0] if single else y
        try:
            return self.step(&in_)
        finally:
            PyBuffer_Release(&in_)

    cdef step(self, Py_buffer *x):
        cdef Py_buffer out
        cdef int64_t k
        cdef int failed = 0
        y = new_array(self.out, self.dtype)
        PyObject_GetBuffer(y, &out, PyBUF_WRITABLE)
        try:
            self.enter()
            self.p[0].input.x = x.buf
            self.p[0].input.x_n = x.strides[0] // self.itemsize
            with nogil:
                for k in range(self.L):
                    self.p[k].y = out.buf
                    if k:
                        self.p[k].input.x = self.p[k - 1].h_n
                    failed |= self.kernels.forward(&self.p[k])
            self.busy = False
        finally:
            PyBuffer_Release(&out)
        if failed:
            raise MemoryError("no memory for a step")
        return y

    def reset(self):
        """Set the state to zero."""
        self.put([0] * len(self.states))

    cdef int put(self, parts) except -1:
        """Write to the states."""
        self.enter()
        try:
            for array, part in zip(self.states, parts):
                array[...] = part
        finally:
            self.busy = False
        return 0

    @property
    def state(self):
        """Each state [L,N,R or H]: copies out, values in."""
        self.enter()
        try:
            return tuple([array.copy() for array in self.states])
        finally:
            self.busy = False

    @state.setter
    def state(self, value):
        self.put(read_states(value, self.spec.states, [a.shape for a in self.states], self.dtype))
