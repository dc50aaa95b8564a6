# The optimizer's inner loop.
# Part of _native.pyx.

def adam(p, m, v, g, index, *, double rate, double root, double eps, double beta1, double beta2,
         double shrink=1, double decay=0, double scale=1, total=None, int n_threads=1):
    """One step of Adam in one pass, in place: see `fastlstm.kernels.reference_adam.adam`."""
    cdef fl_adam a
    cdef View held  # the last one; all are in views
    cdef int64_t i
    format = format_of(p)
    memset(&a, 0, sizeof(a))
    changed = {"p": p, "m": m, "v": v}
    if total is not None:
        changed["total.sum"] = total.sum
    for name, array in changed.items():  # a copy of it would be changed, and lost
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} has strides {array.strides}, expected contiguous axes")
    shape = tuple(p.shape) if index is not None else (p.size,)
    flat = [x if index is not None else x.reshape(-1) for x in (p, m, v)]
    views = [view(x, name, shape, format, 0, True) for name, x in zip("pmv", flat)]
    a.p, a.m, a.v = buffer_of(views[0]), buffer_of(views[1]), buffer_of(views[2])
    if index is None:
        # one row of everything would be one thread's: cut it
        a.width = 1024
        a.rows = p.size // 1024
        held = view(g.reshape(-1), "g", shape, format, 0)
        views.append(held)
    else:
        a.rows, a.width = len(index), shape[1]
        held = view(index, "index", (a.rows,), "q", 0)
        views.append(held)
        a.index = <const int64_t *>held.b.buf
        for i in range(a.rows):
            if not 0 <= a.index[i] < shape[0]:
                raise IndexError(f"index[{i}] is {a.index[i]}, expected 0 to {shape[0] - 1}")
        held = view(g, "g", (a.rows, a.width), format, 0)
        views.append(held)
    a.g = held.b.buf
    a.rate, a.root, a.eps, a.beta1, a.beta2 = rate, root, eps, beta1, beta2
    a.shrink, a.decay, a.scale = shrink, decay, scale
    if total is not None:
        a.term = index is not None  # terms for each row, or for all
        terms = (a.rows if a.term else 1,)
        held = view(total.sum.reshape(shape), "total.sum", shape, format, 0, True)
        a.total = held.b.buf
        views.append(held)
        for name in ("keep", "add"):
            held = view(getattr(total, name), f"total.{name}", terms, format, 0)
            if name == "keep":
                a.keep = held.b.buf
            else:
                a.add = held.b.buf
            views.append(held)
    a.n_threads = n_threads if a.rows * a.width > 50000 else 1
    cdef const fl_kernels *k = kernels_of(p.dtype.itemsize)
    cdef int64_t done = a.rows * a.width, size = p.dtype.itemsize
    with nogil:
        k.adam(&a)
    if index is None and done < p.size:  # what the cut left over
        a.rows, a.width = 1, p.size - done
        a.p, a.m, a.v = <char *>a.p + done * size, <char *>a.m + done * size, <char *>a.v + done * size
        a.g = <const char *>a.g + done * size
        if a.total != NULL:
            a.total = <char *>a.total + done * size
        k.adam(&a)
