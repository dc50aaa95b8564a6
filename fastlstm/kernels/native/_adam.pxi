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
