# Many models of equal shape in one call: what native/many.py is made of.
# Part of _native.pyx.

# What takes as long as a step of a small call, in operations: its gates, and finding its data.
DEF OF_STEP = 1e4


cdef class HeldModel(HeldCall):
    """The weights of a model, and the gradients to add to, if they are given."""
    cdef fl_grads g

    def __cinit__(self, cell, weights, precision, gradients=None):
        self.set_weights(cell, weights, precision, False)
        memset(&self.g, 0, sizeof(self.g))
        if gradients is not None:
            set_gradients(self, &self.g, gradients)


cdef bint alike(HeldModel one, HeldModel other):
    """Whether both are models of equal shape, without parameters of the cell's own."""
    cdef fl_call *p
    cdef fl_call *q
    if one is None or other is None:
        return False
    p, q = &one.p, &other.p
    return (one.kernels == other.kernels and p.cell == q.cell and p.H == q.H and p.R == q.R
            and p.input.I == q.input.I and one.spec is other.spec
            and (p.weights.b_ih == NULL) == (q.weights.b_ih == NULL)
            and (p.weights.b_hh == NULL) == (q.weights.b_hh == NULL)
            and (p.weights.w_hr == NULL) == (q.weights.w_hr == NULL)
            and p.weights.params == NULL and q.weights.params == NULL)


cdef class ManyCalls:
    """A call of each model, whose arrays are given one after the other.

    Parameters
    ----------
    models : `HeldModel` of each.
    T, N : steps and rows of each.
    lengths : int64 [M,N].
    """
    cdef readonly int64_t M, T, N
    cdef HeldModel first
    cdef fl_call *calls  # [M]
    cdef fl_grads *grads  # [M] or NULL
    cdef int64_t *rows
    cdef void *kept
    cdef list models, held

    def __cinit__(self, list models not None, int64_t T, int64_t N, lengths, bint reverse,
                  int64_t recompute):
        cdef HeldModel one
        cdef fl_call *p
        self.models, self.held = models, []
        self.M, self.T, self.N = len(models), T, N
        self.first = models[0]
        if T < 1 or N < 1:
            raise ValueError(
                f"x has {count_of(N, 'row')} of {count_of(T, 'step')}, expected at least one of "
                "each"
            )
        self.calls = <fl_call *>fl_alloc(self.M * sizeof(fl_call))
        if self.calls == NULL:
            raise MemoryError(f"no memory for {self.M} models")
        p = self.calls
        for one in models:
            if not alike(self.first, one):
                raise ValueError(f"models[{p - self.calls}] differs from the first in its arrays")
            memcpy(p, &one.p, sizeof(fl_call))
            p.rows.T, p.rows.N, p.rows.reverse, p.recompute = T, N, reverse, recompute
            p.n_threads = 1
            p += 1
        check_total(self.calls, self.first.gates)
        self.set_rows(lengths)

    def __dealloc__(self):
        fl_free(self.calls)
        fl_free(self.grads)
        fl_free(self.rows)
        fl_free(self.kept)

    cdef int set_rows(self, lengths) except -1:
        """Sort the rows of each model; or of all, if they have the same lengths."""
        cdef int64_t T = self.T, N = self.N, m, n, sets, each = 3 * N + 2 * T + 1
        cdef View v = view(lengths, "lengths", (self.M, N), "q", 1)
        cdef int64_t *at
        cdef fl_rows *b
        sets = self.M if v.stride(0) else 1
        self.rows = <int64_t *>fl_alloc(sets * each * sizeof(int64_t))
        if self.rows == NULL:
            raise MemoryError(f"no memory for the lengths of {sets} models")
        for m in range(self.M):
            at, b = self.rows + (m if sets > 1 else 0) * each, &self.calls[m].rows
            b.order, b.length, b.n_at, b.offset = at, at + N, at + 2 * N, at + 2 * N + T
            if m >= sets:
                continue
            at += each - N  # a copy, which no other thread changes
            memcpy(at, <char *>v.b.buf + m * v.b.strides[0], N * sizeof(int64_t))
            for n in range(N):
                if not 0 <= at[n] <= T:
                    raise ValueError(f"lengths[{m}, {n}] is {at[n]}, expected 0 to {T}")
            fl_sort_rows(T, N, at, <int64_t *>b.order, <int64_t *>b.length, <int64_t *>b.n_at,
                         <int64_t *>b.offset)
        return 0

    def put(self, str place, array, str name):
        """Give the array of all models for the place of that name in a call or its gradients."""
        cdef fl_call *p = self.calls
        cdef fl_grads *g = self.grads
        cdef int64_t I = p.input.I, R = p.R, H = p.H
        if place == "x":
            self.spread(array, name, I, <void **>&p.input.x, sizeof(p[0]), True)
        elif place == "y":
            self.spread(array, name, R, &p.y, sizeof(p[0]), True, True)
        elif place == "h0":
            self.spread(array, name, R, <void **>&p.h0, sizeof(p[0]))
        elif place == "c0":
            self.spread(array, name, H, <void **>&p.c0, sizeof(p[0]))
        elif place == "h_n":
            self.spread(array, name, R, &p.h_n, sizeof(p[0]), False, True)
        elif place == "c_n":
            self.spread(array, name, H, &p.c_n, sizeof(p[0]), False, True)
        elif g == NULL:
            raise ValueError(f"{name} is given, expected nothing more before gradients are")
        elif place == "dy":
            self.spread(array, name, R, <void **>&g.dy, sizeof(g[0]), True)
        elif place == "dx":
            self.spread(array, name, I, &g.dx, sizeof(g[0]), True, True)
        elif place == "dh_n":
            self.spread(array, name, R, <void **>&g.dh_n, sizeof(g[0]))
        elif place == "dc_n":
            self.spread(array, name, H, <void **>&g.dc_n, sizeof(g[0]))
        elif place == "dh0":
            self.spread(array, name, R, &g.dh0, sizeof(g[0]), False, True)
        elif place == "dc0":
            self.spread(array, name, H, &g.dc0, sizeof(g[0]), False, True)

    cdef int spread(self, array, str name, int64_t last, void **at, size_t step,
                    bint steps=False, bint writable=False) except -1:
        """Set the pointers to each model's part of [M,N,last], or with `steps` of [M,T,N,last] and
        behind them, as the structs have them, the strides of time and row."""
        cdef tuple shape = (self.M, self.N, last)
        cdef View v
        cdef int64_t m
        cdef int64_t *strides
        if steps:
            shape = (self.M, self.T, self.N, last)
        v = View(array, name, shape, self.first.format, writable)
        if not v.dense(3 if steps else 1):
            raise ValueError(f"{name} has strides {v.steps()}, expected contiguous axes")
        self.held.append(v)
        for m in range(self.M):
            at[0] = <char *>v.b.buf + m * v.b.strides[0]
            if steps:
                strides = <int64_t *>(at + 1)
                strides[0], strides[1] = v.stride(1), v.stride(2)
            at = <void **>(<char *>at + step)
        return 0

    def keep(self):
        """One block for what backward needs of all calls."""
        cdef int64_t m
        cdef double most = 0
        cdef char *at
        for m in range(self.M):
            most += keep_at(self.first.kernels, &self.calls[m], NULL)
        self.kept = at = <char *>fl_alloc(<size_t>most) if most < MOST_BYTES else NULL
        if at == NULL:
            raise MemoryError(f"no memory for {most:.0f} bytes that backward needs")
        for m in range(self.M):
            at += keep_at(self.first.kernels, &self.calls[m], at)

    def take_gradients(self, list models not None, bint accumulate_dx):
        """Have gradients added to those that models hold, of the shape of these."""
        cdef HeldModel one
        cdef fl_grads *g
        if self.kept == NULL:
            raise ValueError("nothing was kept for a backward pass")
        if len(models) != self.M:
            raise ValueError(f"gradients has {count_of(len(models), 'model')}, expected {self.M}")
        if self.grads == NULL:
            self.grads = <fl_grads *>fl_alloc(self.M * sizeof(fl_grads))
        if self.grads == NULL:
            raise MemoryError(f"no memory for {self.M} models")
        g = self.grads
        for one in models:
            if not alike(self.first, one) or one.g.dw_ih == NULL:
                raise ValueError(f"gradients[{g - self.grads}] is of other models")
            memcpy(g, &one.g, sizeof(fl_grads))
            g.accumulate_dx = accumulate_dx
            g += 1
        self.held.append(models)

    def run(self, int n_threads):
        """Run all calls forward, or where gradients were given backward."""
        cdef fl_many job
        cdef int failed
        cdef int64_t m
        cdef fl_call *p = self.calls
        cdef fl_grads *g = self.grads
        cdef bint two = self.first.states > 1
        cdef double of_row = (2 if g == NULL else 4) * self.first.gates * p.H * (p.input.I + p.R)
        if (p.input.x == NULL or p.y == NULL or p.h0 == NULL or p.h_n == NULL
                or two and (p.c0 == NULL or p.c_n == NULL)
                or g != NULL and (g.dh0 == NULL or two and g.dc0 == NULL)):
            raise ValueError("an array is missing")
        memset(&job, 0, sizeof(job))
        job.kernels, job.M, job.layers = self.first.kernels, self.M, 1
        job.calls, job.grads, job.n_threads = p, g, n_threads
        for m in range(self.M):
            job.work += of_row * p[m].rows.offset[self.T] + OF_STEP * self.T
        if job.work > 2e10 and current_thread() is main_thread():
            job.stop = signals
        with nogil:
            failed = fl_run_many(&job)
        if failed:
            fail(failed, f"a pass of {self.M} models")


cdef int64_t keep_at(const fl_kernels *kernels, fl_call *p, char *at) noexcept nogil:
    """Place what a call keeps there, unless that is NULL; return how many bytes it takes."""
    cdef int64_t sizes[3]
    cdef void *blocks[3]
    cdef int64_t i, size = 0
    kernels.kept(p, sizes)
    for i in range(3):
        blocks[i] = at + size if at != NULL and sizes[i] else NULL
        size += (sizes[i] + 63) // 64 * 64
    p.gates, p.cells, p.extra = blocks[0], blocks[1], blocks[2]
    return size


cdef class ManySteps:
    """A step of several streams of equal shape; callers take turns."""
    cdef list streams
    cdef fl_call *calls  # [M,L]
    cdef int64_t M
    cdef Stream first

    def __cinit__(self, list streams not None):
        cdef Stream one
        cdef int64_t L, m = 0
        self.streams, self.M, self.first = streams, len(streams), streams[0]
        L = 0 if self.first is None else self.first.L
        self.calls = <fl_call *>fl_alloc(self.M * L * sizeof(fl_call))
        if self.calls == NULL:
            raise MemoryError(f"no memory for {self.M} streams")
        for one in streams:
            if one is None or not self.fits(one):
                raise ValueError(f"streams[{m}] differs from the first in its sizes")
            memcpy(self.calls + m * L, one.p, L * sizeof(fl_call))
            m += 1

    def __dealloc__(self):
        fl_free(self.calls)

    cdef bint fits(self, Stream one):
        cdef int64_t k
        cdef bint fit = (one.kernels == self.first.kernels and one.L == self.first.L
                         and one.N == self.first.N and one.I == self.first.I)
        for k in range(one.L if fit else 0):
            fit &= (one.p[k].cell == self.first.p[k].cell and one.p[k].H == self.first.p[k].H
                    and one.p[k].R == self.first.p[k].R)
        return fit

    def __call__(self, x, y, int n_threads):
        """x [M,N,I] -> y [M,N,R]."""
        cdef int64_t m, k, L = self.first.L, N = self.first.N
        cdef View at = view(x, "x", (self.M, N, self.first.I), self.first.format, 2)
        cdef View out = view(y, "y", (self.M, N, self.first.R), self.first.format, 0, True)
        cdef fl_many job
        cdef int failed
        cdef fl_call *p
        memset(&job, 0, sizeof(job))
        job.kernels, job.M, job.layers = self.first.kernels, self.M, L
        job.calls, job.n_threads = self.calls, n_threads
        job.work = <double>self.M * L * (N * self.first.work + OF_STEP)
        for m in range(self.M):
            p = self.calls + m * L
            p.input.x, p.input.x_n = <char *>at.b.buf + m * at.b.strides[0], at.stride(1)
            for k in range(L):
                p[k].y = <char *>out.b.buf + m * out.b.strides[0]
                if k:
                    p[k].input.x = p[k - 1].h_n
        with nogil:
            failed = fl_run_many(&job)
        if failed:
            raise MemoryError("no memory for a step")
