# One layer in one direction over a batch, forward and backward.
# Part of _native.pyx.

cdef class HeldCall:
    """The arguments of a kernel call and what keeps their memory alive."""
    cdef fl_call p
    cdef const fl_kernels *kernels
    cdef readonly object spec  # its row in `spec.CELLS`
    cdef readonly object batch  # `Rows`
    cdef str format
    cdef int64_t itemsize
    cdef int gates
    cdef int states
    cdef list held
    cdef bint saves
    cdef fl_turn turn  # of a backward pass: given once there is something to serve it with

    def __cinit__(self):
        self.held = []

    def __dealloc__(self):
        self.free()

    cdef int claim(self) except -1:
        """Take it for a backward pass: threads may share it, and it serves one."""
        if not fl_take_turn(&self.turn):
            raise RuntimeError(
                "saved was used by a backward pass, or is at this moment: run forward again, it "
                "serves one"
            )
        return 0

    cdef void free(self):
        fl_free(self.p.gates)
        fl_free(self.p.cells)
        fl_free(self.p.extra)
        self.p.gates = self.p.cells = self.p.extra = NULL
        self.held = None

    cdef void *array(self, value, str name, tuple shape, bint writable=False) except NULL:
        cdef View v = view(value, name, shape, self.format, 0, writable)
        self.held.append(v)
        return v.b.buf

    cdef const void *optional(self, value, str name, tuple shape, bint writable=False) except? NULL:
        return NULL if value is None else self.array(value, name, shape, writable)

    cdef int set_rows(self, rows, bint reverse) except -1:
        cdef int64_t T = rows.T, N = rows.N
        cdef View v
        self.batch = rows
        if T < 1 or N < 1:
            raise ValueError(
                f"rows are {N} of {count_of(T, 'step')}, expected at least one of each"
            )
        lengths = rows.lengths if rows.full else rows.lengths[rows.order]
        arrays = (rows.order, lengths, rows.n_at, rows.offset)
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
        check_rows(&self.p.rows)

    cdef set_input(self, x):
        cdef int64_t T = self.p.rows.T, N = self.p.rows.N, I = self.p.input.I
        cdef View v
        if isinstance(x, Tokens):
            v = view(x.ids, "ids", (T, N), "q", 2)
            self.held.append(v)
            self.p.input.ids = <const int64_t *>v.b.buf
            self.p.input.ids_t, self.p.input.ids_n = v.stride(0), v.stride(1)
            v = view(x.table, "table", (-1, I), self.format, 0)
            self.held.append(v)
            self.p.input.x, self.p.input.U = v.b.buf, v.b.shape[0]
            self.check_ids()
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

    cdef int set_cell(self, cell, int itemsize, str precision) except -1:
        self.spec, self.itemsize = cell, itemsize
        self.p.cell, self.kernels = number_of(cell), kernels_in(precision, itemsize)
        self.gates, self.states = len(cell.gates), len(cell.states)
        if not cell.usual:
            self.p.others = True
            set_activation(&self.p.activation, cell.activation)
            set_activation(&self.p.gate_activation, cell.recurrent_activation)
            set_activation(&self.p.state_activation, cell.state_activation)
        return 0

    cdef set_weights(self, cell, weights, precision, bint save):
        cdef View ih, hh, hr
        cdef int64_t GH
        w_ih, w_hh, b_ih, b_hh, w_hr, params = weights
        self.format = format_of(w_hh, "w_hh")
        if precision != "float32":
            check_precision(precision, DTYPES[self.format], save=save, cell=cell)
        self.set_cell(cell, 8 if self.format == "d" else 4, precision)
        hh, ih = self.matrix(w_hh, "w_hh"), self.matrix(w_ih, "w_ih")
        self.p.R = self.p.H = hh.b.shape[1]
        self.p.input.I = ih.b.shape[1]
        self.p.weights.w_ih, self.p.weights.w_hh = ih.b.buf, hh.b.buf
        if w_hr is not None:
            if not cell.projects:
                raise ValueError("w_hr is given, expected None for this cell")
            hr = self.matrix(w_hr, "w_hr")
            self.p.H, self.p.weights.w_hr = hr.b.shape[1], hr.b.buf
            if hr.b.shape[0] != self.p.R:
                raise hr.misfit("w_hr", (self.p.R, -1))
        GH = self.gates * self.p.H
        for name, v in (("w_hh", hh), ("w_ih", ih)):
            if v.b.shape[0] != GH:
                raise v.misfit(name, (GH, -1))
        self.p.weights.b_ih = self.optional(b_ih, "b_ih", (GH,))
        self.p.weights.b_hh = self.optional(b_hh, "b_hh", (GH,))
        if self.check_params(params, ""):
            self.p.weights.params = self.rows_of(np.stack(params))
        if precision == "int8":
            check_int8_weights(weights)

    cdef int check_params(self, params, str prefix, bint writable=False) except -1:
        """Check the cell's own parameters, or their gradients; return how many there are."""
        cdef tuple names = self.spec.params
        if len(params) != len(names):
            raise ValueError(
                f"{prefix}params has {count_of(len(params), 'array')}, expected {len(names)} "
                f"({', '.join(names) or 'this cell has none'})"
            )
        for name, param in zip(names, params):
            view(param, prefix + name, (self.p.H,), self.format, 0, writable)
        return len(names)

    cdef void *rows_of(self, array) except NULL:
        """Where an array [n,H] of ours is, which is held."""
        return self.array(array, "params", (-1, self.p.H), True)

    cdef View matrix(self, value, str name):
        """A weight whose sizes are yet to be learned: of none zero, so that all are real memory."""
        cdef View v = view(value, name, (-1, -1), self.format, 0)
        if not v.b.len:
            raise ValueError(f"{name} has shape {v.shape()}, expected no empty axis")
        self.held.append(v)
        return v

    cdef tuple state_shapes(self):
        cdef int64_t N = self.p.rows.N
        return tuple([(N, size) for size in self.spec.state_sizes(self.p.H, self.p.R)])

    cdef tuple new_states(self):
        return tuple([new_array(shape, DTYPES[self.format]) for shape in self.state_shapes()])

    cdef int set_states(self, state, str name, const void **h, const void **c,
                        bint writable=False, bint optional=False) except -1:
        """Pointers to the arrays of a state; NULL for None, where that may be."""
        state = tuple(state)
        if len(state) != self.states:
            raise ValueError(f"{name} has {count_of(len(state), 'array')}, expected {self.states}")
        if not optional and any([array is None for array in state]):
            raise TypeError(f"{name} holds None, expected arrays")
        shapes = self.state_shapes()
        h[0] = self.optional(state[0], f"{name}[0]", shapes[0], writable)
        if self.states > 1:
            c[0] = self.optional(state[1], f"{name}[1]", shapes[1], writable)
        return 0

    cdef set_reset(self, reset):
        cdef View v = view(reset.mask, "reset.mask", (self.p.rows.T, self.p.rows.N), "?", 0)
        self.held.append(v)
        self.p.reset = <const uint8_t *>v.b.buf
        self.set_states(reset.state, "reset.state", &self.p.reset_h, &self.p.reset_c)


cdef dict ACTIVATIONS = {"linear": FL_SAME, "relu": FL_RELU, "sigmoid": FL_SIGMOID, "tanh": FL_TANH,
                         "hard_sigmoid": FL_HARD_SIGMOID, "softsign": FL_SOFTSIGN}


cdef int set_activation(fl_activation *to, activation) except -1:
    to.kind = ACTIVATIONS[activation.name]
    to.alpha, to.beta, to.clip = activation.alpha, activation.beta, activation.clip
    return 0


cdef int check_rows(const fl_rows *b) except -1:
    """Kernels take rows for places in memory: these must be of one batch."""
    cdef int64_t r, t, alive = b.N
    cdef bint fit = b.offset[0] == 0
    for r in range(b.N):
        fit &= 0 <= b.order[r] < b.N and 0 <= b.length[r] <= (b.length[r - 1] if r else b.T)
    for t in range(b.T):
        while alive and b.length[alive - 1] <= t:
            alive -= 1
        fit &= b.n_at[t] == alive and b.offset[t + 1] == b.offset[t] + alive
    if not fit:
        raise ValueError("rows do not fit together, expected Rows(T, N, lengths) as it was made")
    return 0


cdef int check_total(const fl_call *p, int gates) except -1:
    """Sizes whose products int64 cannot hold are of no array: views can claim them."""
    cdef double steps = <double>p.rows.T * p.rows.N + p.rows.N + p.input.U
    cdef double wide = (gates + 2.0) * (p.H + 64.0) + p.input.I + p.R + 64.0
    if steps * wide * 8 > MOST_BYTES or gates * (p.H + 64.0) * wide * 8 > MOST_BYTES:
        raise MemoryError(
            f"no memory for {p.rows.T} steps of {p.rows.N} rows of input size {p.input.I}, "
            f"hidden size {p.H} and {p.input.U} tokens"
        )
    return 0


cdef int keep(fl_call *p, const fl_kernels *kernels) except -1:
    """Memory for what backward needs of a call."""
    cdef int64_t sizes[3]
    cdef void *blocks[3]
    cdef int i
    kernels.kept(p, sizes)
    for i in range(3):
        blocks[i] = fl_alloc(sizes[i]) if sizes[i] else NULL
    p.gates, p.cells, p.extra = blocks[0], blocks[1], blocks[2]
    for i in range(3):
        if sizes[i] and blocks[i] == NULL:
            raise MemoryError(f"no memory for {sizes[i]} bytes that backward needs")
    return 0


cdef int set_forward(HeldCall held, cell, call) except -1:
    """Set all of a forward pass but where its last states go, and what it keeps."""
    cdef View out
    cdef bint save, reverse
    cdef int64_t recompute, T, N
    x, state, weights, rows, y, reverse, reset, mask, save, recompute, n_threads, precision = call
    check_recompute(recompute)
    held.set_weights(cell, weights, precision, save)
    held.set_rows(rows, reverse)
    held.set_input(x)
    check_total(&held.p, held.gates)
    T, N = held.p.rows.T, held.p.rows.N
    held.set_states(state, "state", &held.p.h0, &held.p.c0)
    if reset is not None:
        held.set_reset(reset)
    held.p.mask = held.optional(mask, "mask", (N, held.p.R))
    out = view(y, "y", (T, N, held.p.R), held.format, 2, True)
    held.held.append(out)
    held.p.y, held.p.y_t, held.p.y_n = out.b.buf, out.stride(0), out.stride(1)
    held.p.n_threads = n_threads
    held.saves = save
    if save:
        held.p.recompute = recompute
    return 0


def forward(cell, call):
    """Run one layer in one direction: see `fastlstm.kernels.reference.forward`."""
    cdef HeldCall held = HeldCall()
    cdef int failed
    set_forward(held, cell, call)
    state_n = held.new_states()
    held.set_states(state_n, "state_n", <const void **>&held.p.h_n, <const void **>&held.p.c_n,
                    True)
    if held.saves:
        keep(&held.p, held.kernels)
    let_interrupt(&held.p)
    with nogil:
        failed = held.kernels.forward(&held.p)
    if failed:
        fail(failed, f"a forward pass of {held.p.rows.T} steps of {held.p.rows.N} rows")
    if not held.saves:
        return state_n, None
    fl_give_turn(&held.turn)
    return state_n, held


def backward(HeldCall saved not None, given):
    """Run it backward: see `fastlstm.kernels.reference.backward`."""
    cdef fl_grads g
    cdef int failed
    cdef Py_ssize_t held
    saved.claim()
    held = len(saved.held)
    try:
        results, dparams = set_backward(saved, &g, given)
    except BaseException:  # nothing was computed: it still serves
        del saved.held[held:]
        fl_give_turn(&saved.turn)
        raise
    let_interrupt(&saved.p)
    with nogil:
        failed = saved.kernels.backward(&saved.p, &g)
    saved.free()
    if failed:
        fail(failed, f"a backward pass of {saved.p.rows.T} steps of {saved.p.rows.N} rows")
    for param, d in zip(given.weights.params, dparams):
        np.add(param, d, out=param)
    return results


cdef tuple set_backward(HeldCall saved, fl_grads *g, given):
    """Set the arguments of a backward pass.

    Return the arrays for what it returns, and for the gradients of the cell's own parameters.
    """
    cdef View v
    cdef tuple shape
    cdef int64_t T = saved.p.rows.T, N = saved.p.rows.N, I = saved.p.input.I
    cdef bint tokens = saved.p.input.ids != NULL
    dy, dstate, grads, dx, accumulate_dx, n_threads = given
    memset(g, 0, sizeof(g[0]))
    g.accumulate_dx, saved.p.n_threads = accumulate_dx, n_threads
    check_rows(&saved.p.rows)
    if tokens:
        saved.check_ids()  # again: their owner may have used the array for others
    if dy is not None:
        v = view(dy, "dy", (T, N, saved.p.R), saved.format, 2)
        saved.held.append(v)
        g.dy, g.dy_t, g.dy_n = v.b.buf, v.stride(0), v.stride(1)
    saved.set_states(dstate, "dstate", &g.dh_n, &g.dc_n, False, True)
    if dx is not None:
        shape = (T, N, I)
        if tokens:
            shape = (saved.p.input.U, I)
        v = view(dx, "dx", shape, saved.format, len(shape) - 1, True)
        saved.held.append(v)
        g.dx, g.dx_t, g.dx_n = v.b.buf, v.stride(0), v.stride(0 if tokens else 1)
    dparams = set_gradients(saved, g, grads)
    dstate_0 = saved.new_states()
    saved.set_states(dstate_0, "dstate_0", <const void **>&g.dh0, <const void **>&g.dc0, True)
    dreset = None
    if saved.p.reset != NULL:
        dreset = saved.new_states()
        saved.set_states(dreset, "dreset", <const void **>&g.dreset_h,
                         <const void **>&g.dreset_c, True)
    return (dstate_0, dreset), dparams


def inside(HeldCall saved not None):
    """Gates and cells at every step of a forward pass with `save`, as `fl_kernels.inside` has them.

    Returns its gates [P,blocks,gates,VL], of a cell with a cell state its cells [P,Hp], and H.
    """
    cdef int64_t VL = saved.kernels.width, H = saved.p.H, blocks = (H + VL - 1) // VL
    cdef View gates, cells
    saved.claim()
    try:
        check_kept(saved.p.recompute)
        rows = saved.batch.total
        found = np.empty((rows, blocks, saved.gates, VL), DTYPES[saved.format])
        states = np.empty((rows if saved.states > 1 else 0, blocks * VL), DTYPES[saved.format])
        gates = view(found, "gates", found.shape, saved.format, 0, True)
        cells = view(states, "cells", states.shape, saved.format, 0, True)
        saved.kernels.inside(&saved.p, gates.b.buf, cells.b.buf)
        return found, states, H
    finally:
        fl_give_turn(&saved.turn)


cdef set_gradients(HeldCall saved, fl_grads *g, grads):
    """Set where gradients of weights go; return [n,H] for those of the cell's own parameters."""
    cdef int64_t H = saved.p.H, R = saved.p.R, I = saved.p.input.I, GH = saved.gates * H
    dw_ih, dw_hh, db_ih, db_hh, dw_hr, dparams = grads
    g.dw_ih = saved.array(dw_ih, "grads.w_ih", (GH, I), True)
    g.dw_hh = saved.array(dw_hh, "grads.w_hh", (GH, R), True)
    g.db_ih = <void *>saved.optional(db_ih, "grads.b_ih", (GH,), True)
    g.db_hh = <void *>saved.optional(db_hh, "grads.b_hh", (GH,), True)
    if saved.p.weights.w_hr != NULL:
        if dw_hr is None:
            raise TypeError(f"grads.w_hr is None, expected an array of shape {(R, H)}")
        g.dw_hr = saved.array(dw_hr, "grads.w_hr", (R, H), True)
    elif dw_hr is not None:
        raise ValueError("grads.w_hr is given, expected None as there was no w_hr")
    params = np.zeros((saved.check_params(dparams, "grads.", True), H), DTYPES[saved.format])
    if len(params):
        g.dparams = saved.rows_of(params)
    return params


def memory(cell, sizes):
    """Bytes that forward keeps, and that forward and backward work in."""
    cdef HeldCall call = HeldCall()
    cdef int64_t sizes_kept[3]
    cdef int64_t one = 0
    check_sizes(cell, sizes)
    (rows, input_size, hidden_size, proj_size, tokens, mask, recompute, dtype, n_threads,
     precision) = sizes
    call.set_cell(cell, np.dtype(dtype).itemsize, precision)
    call.set_rows(rows, False)
    call.p.H, call.p.R = hidden_size, proj_size or hidden_size
    call.p.input.I, call.p.input.U = input_size, tokens
    call.p.n_threads, call.p.recompute = n_threads, recompute
    check_total(&call.p, call.gates)
    # only whether they are there is asked; a reset is counted, whether there will be one or not
    call.p.reset = <const uint8_t *>&one
    call.p.input.ids = &one if tokens else NULL
    call.p.weights.w_hr = &one if proj_size else NULL
    call.p.mask = &one if mask else NULL
    call.kernels.kept(&call.p, sizes_kept)
    backward = call.kernels.backward_bytes(&call.p)
    call.p.gates = &one if sizes_kept[0] else NULL
    call.p.cells = &one if sizes_kept[1] else NULL
    call.p.extra = &one if sizes_kept[2] else NULL
    forward = call.kernels.forward_bytes(&call.p)
    call.p.gates = call.p.cells = call.p.extra = NULL  # not ours to free
    kept = sum([fl_block_bytes(sizes_kept[i]) for i in range(3)])
    own = 2 * len(cell.params) * hidden_size * call.itemsize  # copies, and their gradients
    return MemoryUse(kept + own, forward, backward)
