# The optimizer's inner loop.
# Part of _native.pyx.

def adam(step):
    """One step of Adam in one pass, in place: see `fastlstm.kernels.adam.AdamStep`."""
    cdef fl_adam a
    cdef View held
    cdef int64_t size = 0, done
    memset(&a, 0, sizeof(a))
    p, m, v, g, index, *numbers, total, n_threads = read_adam(step)
    format, shape = format_of(p, "p"), p.shape
    views = [view(x, name, shape, format, 0, True) for x, name in ((p, "p"), (m, "m"), (v, "v"))]
    a.p, a.m, a.v = buffer_of(views[0]), buffer_of(views[1]), buffer_of(views[2])
    held = view(g, "g", g.shape, format, 0)
    views.append(held)
    a.g = held.b.buf
    if index is None:
        # one row of everything would be one thread's: cut it
        a.width = 1024
        a.rows = p.size // 1024
    else:
        a.rows, a.width = g.shape
        held = view(index, "index", (a.rows,), "q", 0)
        views.append(held)
        a.index = <const int64_t *>held.b.buf
    a.rate, a.root, a.eps, a.beta1, a.beta2, a.shrink, a.decay, a.scale = numbers
    if total is not None:
        a.term = index is not None  # terms for each row, or for all
        summed = [view(x, name, x.shape, format, 0, name == "sum") for name, x in
                  total._asdict().items()]
        a.total, a.keep, a.add = buffer_of(summed[0]), buffer_of(summed[1]), buffer_of(summed[2])
    a.n_threads = n_threads if a.rows * a.width > 50000 else 1
    size = p.itemsize
    cdef const fl_kernels *k = kernels_of(size)
    done = a.rows * a.width
    with nogil:
        k.adam(&a)
    if index is None and done < p.size:  # what the cut left over
        a.rows, a.width = 1, p.size - done
        a.p, a.m, a.v = <char *>a.p + done * size, <char *>a.m + done * size, <char *>a.v + done * size
        a.g = <const char *>a.g + done * size
        if a.total != NULL:
            a.total = <char *>a.total + done * size
        k.adam(&a)


DEF OF_ELEMENT = 400  # operations that take as long as one of Adam


cdef class AdamParts:
    """Rows (p, m, v, g) of one dtype, for steps of Adam on all of them in one call."""
    cdef fl_adam *parts  # [n]
    cdef int64_t n, size
    cdef const fl_kernels *kernels
    cdef list held

    def __cinit__(self, list parts not None):
        cdef View p, m, v, g
        cdef fl_adam *a
        self.held, self.n = [], len(parts)
        self.parts = a = <fl_adam *>fl_alloc(self.n * sizeof(fl_adam))
        if a == NULL:
            raise MemoryError(f"no memory for Adam's step of {self.n} arrays")
        format = format_of(parts[0][0], "p") if parts else "f"
        self.kernels = kernels_of(8 if format == "d" else 4)
        for one in parts:
            p = view(one[0], "p", (-1,), format, 0, True)
            shape = p.shape()
            m = view(one[1], "m", shape, format, 0, True)
            v = view(one[2], "v", shape, format, 0, True)
            g = view(one[3], "g", shape, format, 0)
            self.held += (p, m, v, g)
            memset(a, 0, sizeof(fl_adam))
            a.rows, a.width, a.n_threads = 1, p.b.shape[0], 1
            a.p, a.m, a.v, a.g = p.b.buf, m.b.buf, v.b.buf, g.b.buf
            self.size += a.width
            a += 1

    def __dealloc__(self):
        fl_free(self.parts)

    def step(self, numbers, int n_threads):
        """Take one step of all, with `fl_adam`'s numbers from rate to scale."""
        cdef View v = view(numbers, "numbers", (8,), "d", 0)
        cdef fl_many job
        cdef int64_t i
        if not self.n:
            return
        memset(&job, 0, sizeof(job))
        job.kernels, job.M, job.layers, job.n_threads = self.kernels, self.n, 1, n_threads
        job.adam, job.work = self.parts, OF_STEP * self.n + <double>OF_ELEMENT * self.size
        for i in range(self.n):
            memcpy(&self.parts[i].rate, v.b.buf, 8 * sizeof(double))
        with nogil:
            fl_run_many(&job)
