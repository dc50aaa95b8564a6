# Chains of stages.
# Part of _native.pyx.

cdef enum:
    LONG_SIGNAL = 1 << 18  # numbers: of more a call may take so long that it listens to signals


cdef dict _maps = {"relu": FL_RELU, "sigmoid": FL_SIGMOID, "tanh": FL_TANH,
                   "magnitude": FL_MAGNITUDE}


cdef class Chain:
    """Frames of a signal through stages: see `fastlstm.kernels.reference.chain.Chain`.

    The weights are packed here, once: later changes to the model are not seen.
    """
    cdef const fl_kernels *kernels
    cdef fl_chain p
    cdef object dtype
    cdef str format
    cdef char code  # `format` as buffers have it
    cdef fl_turn turn  # of the state: the GIL is given away during a call
    cdef int64_t P, C, itemsize
    cdef object Q, O  # Python's: what they are multiplied with may be of any size
    cdef void *packed
    cdef list held, names
    cdef tuple states  # arrays [1,N,size]
    cdef View memory, before  # all states, one after the other; as they were before a call

    def __cinit__(self, spec, int64_t batch_size):
        cdef list placed = read_chain(spec, batch_size)
        cdef size_t size = len(placed) * sizeof(fl_stage)
        self.held = []
        self.dtype = spec.dtype
        self.format = "d" if self.dtype == "float64" else "f"
        self.code, self.itemsize = <char>ord(self.format), np.dtype(self.dtype).itemsize
        self.kernels = kernels_of(self.itemsize)
        self.P, self.C = placed[0].P, placed[0].C
        last = placed[len(placed) - 1]
        self.Q, self.O = last.Q, last.O
        self.p.N, self.p.n = batch_size, 0
        self.p.stages = <fl_stage *>fl_alloc(size)
        if self.p.stages == NULL:
            raise MemoryError("no memory for a chain")
        memset(self.p.stages, 0, size)
        self.make_states(placed)
        self.set_stages(placed)
        self.pack()
        fl_give_turn(&self.turn)

    cdef int make_states(self, list placed) except -1:
        """What the stages carry from frame to frame, zeros."""
        cdef int64_t N = self.p.N, total = 0, size
        names, sizes = state_of(placed)
        self.names = names
        memory = np.zeros(N * sum(sizes), self.dtype)
        parts = []
        for size in sizes:
            parts.append(memory[total : total + N * size].reshape(1, N, size))
            total += N * size
        self.states = tuple(parts)
        self.memory = view(memory, "memory", (total,), self.format, 0, True)
        self.before = view(memory.copy(), "before", (total,), self.format, 0, True)
        return 0

    cdef int set_stages(self, list placed) except -1:
        cdef fl_stage *s
        cdef int64_t i, at = 0  # of the states
        for i in range(len(placed)):
            stage = placed[i].stage
            if isinstance(stage, Map) and i and self.p.stages[self.p.n - 1].map == FL_SAME:
                self.p.stages[self.p.n - 1].map = _maps[stage.name]  # on the way out
                continue
            s = &self.p.stages[self.p.n]
            self.p.n += 1
            s.P, s.C, s.Q, s.O = placed[i].P, placed[i].C, placed[i].Q, placed[i].O
            # a relu was the last to touch what comes in
            s.sparse = (self.p.n > 1 and self.p.stages[self.p.n - 2].map == FL_RELU
                        and is_finite(stage))
            states = self.states[at : at + len(list(placed[i].states))]
            at += len(states)
            if isinstance(stage, Convolution):
                s.kind = FL_CONV
                magnitude = (i + 1 < len(placed) and isinstance(placed[i + 1].stage, Map)
                             and placed[i + 1].stage.name == "magnitude")
                self.set_convolution(s, placed[i], magnitude, states)
            elif isinstance(stage, Recurrence):
                s.kind = FL_CELL
                self.set_cell(s, stage, states)
            elif isinstance(stage, Map):
                s.kind, s.map, s.O = FL_MAP, _maps[stage.name], placed[i].C
            else:
                s.kind = FL_MEAN
        return 0

    cdef void *hold(self, array, str name, tuple shape, bint writable=False) except NULL:
        cdef View v = view(array, name, shape, self.format, 0, writable)
        self.held.append(v)
        return v.b.buf

    cdef int set_convolution(self, fl_stage *s, placed, bint magnitude, tuple states) except -1:
        cdef int64_t i
        conv, made = placed.stage, cut(placed, magnitude)
        s.kernel, s.stride, s.context = conv.weight.shape[2], conv.stride, conv.context
        s.left, s.right, s.reflect = made.left, made.right, conv.reflect
        if conv.bias is not None:
            s.bias = self.hold(conv.bias, "bias", (s.O,))
        if s.context:
            s.past = self.hold(states[0], "past", (1, self.p.N, s.context * s.C), True)
        s.parts = <fl_part *>fl_alloc(max(1, len(made.parts)) * sizeof(fl_part))
        if s.parts == NULL:
            raise MemoryError("no memory for a chain")
        memset(s.parts, 0, len(made.parts) * sizeof(fl_part))
        for i in range(len(made.parts)):
            self.set_part(s, &s.parts[i], made.parts[i])
        s.n_parts = len(made.parts)
        return 0

    cdef int set_part(self, fl_stage *s, fl_part *to, part) except -1:
        """A part, after checking that what it reads is in a frame."""
        cdef int64_t there = (s.left + s.context + s.P + s.right) * s.C, step = s.stride * s.C
        cdef int64_t first, last, most
        to.p0, to.p1, to.start, to.fold = part.p0, part.p1, part.start, part.fold
        to.O, to.K = s.O // 2 if to.fold else s.O, part.weight.shape[1]
        to.weight = self.hold(part.weight, "part", (to.O, to.K))
        first, last = to.start + to.p0 * step, to.start + (to.p1 - 1) * step
        most = s.kernel * s.C if to.fold else to.K
        if not (0 <= to.p0 < to.p1 <= s.Q and first >= 0 and last + most <= there and to.K > 0):
            raise ValueError(f"part {part[:4]} does not fit a frame of {there} numbers")
        if to.fold and not s.kernel // 2 - 1 <= to.K <= s.kernel // 2 + 1:
            raise ValueError(f"part {part[:4]} does not fit a kernel of {s.kernel}")
        return 0

    cdef int set_cell(self, fl_stage *s, stage, tuple states) except -1:
        cdef HeldCall call = HeldCall()
        call.set_weights(stage.cell, stage.weights, "float32", False)
        call.set_rows(Rows(1, self.p.N), False)
        check_total(&call.p, call.gates)
        if (call.p.input.I, call.p.R) != (s.C, s.O) or call.format != self.format:
            raise ValueError(f"a cell has sizes {(call.p.input.I, call.p.R)}, expected "
                             f"{(s.C, s.O)}")
        call.set_states([part[0] for part in states], "state", &call.p.h0, &call.p.c0, True)
        self.held.append(call)
        memcpy(&s.cell, &call.p, sizeof(fl_call))
        return 0

    cdef int pack(self) except -1:
        # of our own memory: its lines are those of the cache
        self.packed = fl_alloc(self.kernels.chain_size(&self.p) * self.itemsize)
        if self.packed == NULL:
            raise MemoryError("no memory for the weights of a chain")
        with nogil:
            self.kernels.pack_chain(&self.p, self.packed)
        return 0

    def __dealloc__(self):
        cdef int64_t i
        if self.p.stages != NULL:
            for i in range(self.p.n):
                fl_free(self.p.stages[i].parts)
        fl_free(self.p.stages)
        fl_free(self.packed)

    cdef int enter(self) except -1:
        """Claim the state for one caller."""
        if not fl_take_turn(&self.turn):
            raise RuntimeError(STREAM_IN_USE)
        return 0

    cdef bint take(self, x, Py_buffer *b) except -1:
        """Whether x is [N,F*P,C] as the kernel reads it, or [N,F*P] of one channel; then its
        buffer is held."""
        if not get_buffer(x, b):
            return False
        if ((b.ndim == 3 and b.shape[2] == self.C or b.ndim == 2 and self.C == 1)
                and b.shape[0] == self.p.N and b.shape[1] > 0 and b.shape[1] % self.P == 0
                and b.itemsize == self.itemsize and code_of(b) == self.code
                and (self.C == 1 or b.strides[2] == self.itemsize)
                and (b.shape[1] == 1 or b.strides[1] == self.C * self.itemsize)
                and b.strides[0] % self.itemsize == 0
                and <size_t>b.buf % <size_t>self.itemsize == 0):
            return True
        PyBuffer_Release(b)
        return False

    def __call__(self, x, int n_threads=1, /):
        """Go on by some frames: x [N,F*P,C] -> y [N,F*Q,O] of the last stage, a new array."""
        cdef Py_buffer b
        if not self.take(x, &b):
            x, single = read_signal(x, self.p.N, self.P, self.C, self.dtype)
            y = self(x, n_threads)
            return y[0] if single else y
        try:
            return self.run(&b, n_threads)
        finally:
            PyBuffer_Release(&b)

    cdef run(self, Py_buffer *x, int n_threads):
        cdef fl_frames f
        cdef Py_buffer out
        cdef int failed
        cdef size_t size = self.memory.b.len
        memset(&f, 0, sizeof(f))
        f.F, f.n_threads = x.shape[1] // self.P, n_threads
        f.x, f.x_n = x.buf, x.strides[0] // self.itemsize
        if self.p.N * x.shape[1] * self.C > LONG_SIGNAL and current_thread() is main_thread():
            f.stop = signals
        y = new_array((self.p.N, f.F * self.Q, self.O), self.dtype)
        PyObject_GetBuffer(y, &out, PyBUF_WRITABLE)
        try:
            self.enter()
            f.y = out.buf
            with nogil:
                memcpy(self.before.b.buf, self.memory.b.buf, size)
                failed = self.kernels.chain(&self.p, &f)
                if failed:
                    memcpy(self.memory.b.buf, self.before.b.buf, size)
            fl_give_turn(&self.turn)
        finally:
            PyBuffer_Release(&out)
        if failed:
            fail(failed, f"{f.F} frames of {self.p.N} rows")
        return y

    @property
    def state(self):
        """What is carried from frame to frame, each [1,N,size]: copies out, values in."""
        self.enter()
        try:
            return tuple([array.copy() for array in self.states])
        finally:
            fl_give_turn(&self.turn)

    @state.setter
    def state(self, value):
        values = read_states(value, self.names, [a.shape for a in self.states], self.dtype)
        self.enter()
        try:
            for array, part in zip(self.states, values):
                array[...] = part
        finally:
            fl_give_turn(&self.turn)


