# Single steps.
# Part of _native.pyx.

# Operations of a layer's step that several threads are worth, some 20 us of one: of 256 units and
# one row, or of 128 and eight. A single row takes as long as two: weights come from memory.
DEF LARGE = 2e6


cdef bint is_large(int64_t rows, double work) noexcept nogil:
    return max(rows, 2) * work >= LARGE


cdef void take_rows(const void *state, const int64_t *rows, int64_t n, size_t size,
                    void *to) noexcept nogil:
    """Copy n rows of so many bytes; NULL: the first n."""
    cdef int64_t i
    if rows == NULL:
        memcpy(to, state, n * size)
        return
    for i in range(n):
        memcpy(<char *>to + i * size, <const char *>state + rows[i] * size, size)


cdef void put_rows(const void *values, const int64_t *rows, int64_t n, size_t size,
                   void *state) noexcept nogil:
    """Write them back."""
    cdef int64_t i
    if rows == NULL:
        memcpy(state, values, n * size)
        return
    for i in range(n):
        memcpy(<char *>state + rows[i] * size, <const char *>values + i * size, size)


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
    cdef fl_turn turn  # of the state: the GIL is given away during a step
    cdef int64_t L, N, I, R, itemsize
    cdef tuple out  # shape of a step's result
    cdef object last, before  # what the last two steps of all rows returned
    cdef tuple states  # arrays [L,N,R or H]
    cdef fl_call *p  # [L]
    cdef double work  # operations of a row's step in the largest layer
    cdef int64_t *chosen  # [N] rows that a step is for
    cdef uint8_t *marks  # [N] zeros, between calls
    cdef list held

    def __cinit__(self, cell, list layers, int64_t batch_size, precision="float32"):
        cdef HeldCall call
        cdef View v
        cdef int64_t k
        self.held = self.read_layers(cell, layers, batch_size, precision)
        self.p = <fl_call *>fl_alloc(self.L * sizeof(fl_call))
        self.chosen = <int64_t *>fl_alloc(self.N * sizeof(int64_t))
        self.marks = <uint8_t *>fl_alloc(self.N)
        if self.p == NULL or self.chosen == NULL or self.marks == NULL:
            raise MemoryError("no memory for a stream")
        memset(self.marks, 0, self.N)
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
        fl_give_turn(&self.turn)

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
            self.work = max(self.work, 2.0 * call.gates * call.p.H * (call.p.input.I + call.p.R))
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
        fl_free(self.chosen)
        fl_free(self.marks)

    @property
    def shares(self):
        """Whether a step of all rows is worth several threads."""
        return is_large(self.N, self.work)

    cdef int enter(self) except -1:
        """Claim the state for one caller."""
        if not fl_take_turn(&self.turn):
            raise RuntimeError(STREAM_IN_USE)
        return 0

    cdef bint hold(self, array, int64_t n, int64_t size, Py_buffer *b) except -1:
        """Whether an array is [n,size] as the kernel reads it; then its buffer is held."""
        if not get_buffer(array, b):
            return False
        if (b.ndim == 2 and b.shape[0] == n and b.shape[1] == size
                and b.itemsize == self.itemsize and code_of(b) == self.code
                and (size == 1 or b.strides[1] == self.itemsize)
                and b.strides[0] % self.itemsize == 0
                and <size_t>b.buf % <size_t>self.itemsize == 0):
            return True
        PyBuffer_Release(b)
        return False

    def __call__(self, x, /, rows=None, int n_threads=1):
        """Advance by one step: see `fastlstm.kernels.reference.stream`."""
        cdef Py_buffer in_
        cdef View numbers = None
        cdef int64_t n = self.N
        if rows is not None:
            numbers = view(rows, "rows", (-1,), "q", 0)
            n = numbers.b.shape[0]
        if n == 0 or not self.hold(x, n, self.I, &in_):
            x, single = read_step(x, (n, self.I), self.dtype)
            y = self(x, rows, n_threads) if n else new_array((0, self.R), self.dtype)
            return y[0] if single else y
        try:
            return self.step(&in_, numbers, n_threads)
        finally:
            PyBuffer_Release(&in_)

    cdef hold_result(self, Py_buffer *b):
        """The array of the result before the last if nobody else has it, or a new one; its buffer is held.

        That of the last one a loop still has. To make one takes a twentieth of a small step.
        """
        self.last, self.before = self.before, self.last
        if Py_REFCNT(self.last) == 1 and self.hold(self.last, self.N, self.R, b):
            if not b.readonly and PyBuffer_IsContiguous(b, c"C"):
                return self.last
            PyBuffer_Release(b)
        self.last = new_array(self.out, self.dtype)
        PyObject_GetBuffer(self.last, b, PyBUF_WRITABLE)
        return self.last

    cdef step(self, Py_buffer *x, View numbers, int n_threads):
        cdef Py_buffer out
        cdef const int64_t *rows = NULL
        cdef int64_t n = x.shape[0], x_n = x.strides[0] // self.itemsize
        cdef int failed = 0
        if numbers is None:
            y = self.hold_result(&out)
        else:
            y = new_array((n, self.R), self.dtype)
            PyObject_GetBuffer(y, &out, PyBUF_WRITABLE)
        try:
            self.enter()
            try:
                if numbers is not None:
                    rows = self.choose(numbers)
                if not is_large(n, self.work):
                    n_threads = 1
                with nogil:
                    if rows == NULL and n_threads < 2:
                        failed = self.run(x.buf, x_n, out.buf)
                    else:
                        failed = self.run_apart(x.buf, x_n, rows, n, n_threads, out.buf)
            finally:
                fl_give_turn(&self.turn)
        finally:
            PyBuffer_Release(&out)
        if failed:
            raise MemoryError("no memory for a step")
        return y

    cdef const int64_t *choose(self, View numbers) except NULL:
        """Copy the numbers of rows, which another thread may change, and check them."""
        cdef const int64_t *given = <const int64_t *>numbers.b.buf
        cdef int64_t i, row = 0, n = numbers.b.shape[0], good = 0
        for i in range(n):
            row = given[i]
            if not 0 <= row < self.N or self.marks[row]:
                break
            self.marks[row], self.chosen[i] = 1, row
            good += 1
        for i in range(good):
            self.marks[self.chosen[i]] = 0
        if good < n:
            raise wrong_row(good, row, self.N)
        return self.chosen

    cdef int run(self, const void *x, int64_t x_n, void *y) noexcept nogil:
        """A step of all rows on one thread, which writes new states over the old ones."""
        cdef int64_t k
        cdef int failed = 0
        self.p[0].input.x, self.p[0].input.x_n = x, x_n
        for k in range(self.L):
            self.p[k].y = y
            if k:
                self.p[k].input.x = self.p[k - 1].h_n
            failed |= self.kernels.forward(&self.p[k])
        return failed

    cdef int run_apart(self, const void *x, int64_t x_n, const int64_t *rows, int64_t n,
                       int n_threads, void *y) noexcept nogil:
        """A step of n rows, `rows` or NULL for all, on copies of their states.

        Threads read the old h of all units while others write the new.
        """
        cdef fl_call p
        cdef int64_t k
        cdef int64_t[2] offset
        cdef int failed = 0
        cdef size_t h = self.R * self.itemsize, c = self.p[0].H * self.itemsize
        cdef char *work = <char *>fl_alloc(n * (3 * h + c))
        if work == NULL:
            return -1
        offset[0], offset[1] = 0, n
        for k in range(self.L):
            p = self.p[k]
            p.rows.N, p.rows.offset, p.rows.n_at = n, offset, &offset[1]
            p.input.x, p.input.x_n, p.y, p.n_threads = x, x_n, y, n_threads
            p.h0, p.h_n = work, work + (1 + k % 2) * n * h  # x is what the last layer wrote
            take_rows(self.p[k].h_n, rows, n, h, work)
            if p.c_n != NULL:
                p.c0 = p.c_n = work + 3 * n * h
                take_rows(self.p[k].c_n, rows, n, c, p.c_n)
            failed = self.kernels.forward(&p)
            if failed:
                break
            put_rows(p.h_n, rows, n, h, self.p[k].h_n)
            if p.c_n != NULL:
                put_rows(p.c_n, rows, n, c, self.p[k].c_n)
            x, x_n = p.h_n, self.R
        fl_free(work)
        return failed

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
            fl_give_turn(&self.turn)
        return 0

    @property
    def state(self):
        """Each state [L,N,R or H]: copies out, values in."""
        self.enter()
        try:
            return tuple([array.copy() for array in self.states])
        finally:
            fl_give_turn(&self.turn)

    @state.setter
    def state(self, value):
        self.put(read_states(value, self.spec.states, [a.shape for a in self.states], self.dtype))
