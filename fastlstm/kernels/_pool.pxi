# Mean and maximum over time.
# Part of _native.pyx.

cdef fl_pool pool_of(y, View v, lengths, View held, int n_threads):
    cdef fl_pool p
    memset(&p, 0, sizeof(p))
    p.T, p.N, p.F = y.shape
    p.y, p.y_t, p.y_n = v.b.buf, v.stride(0), v.stride(1)
    p.lengths = <const int64_t *>held.b.buf
    p.n_threads = n_threads if p.T * p.N * p.F > 100000 else 1
    for n in range(p.N):
        if not 0 <= p.lengths[n] <= p.T:
            raise ValueError(f"lengths[{n}] is {p.lengths[n]}, expected 0 to {p.T}")
    return p


def pool(y, lengths, *, bint mean, bint max, int n_threads=1):
    """Mean and maximum of y over each row's real steps, in one pass.

    Parameters
    ----------
    y : [T,N,F] with a contiguous last axis.
    lengths : int64 [N]; a row of length 0 gives zeros.
    mean, max : which of the two are wanted.

    Returns
    -------
    mean, max, step : [N,F], or None for what was not asked; `step` is where the maximum was.
    """
    format = format_of(y)
    cdef View v = view(y, "y", (-1, -1, -1), format, 2)
    cdef View held = view(lengths, "lengths", (y.shape[1],), "q", 0)
    cdef fl_pool p = pool_of(y, v, lengths, held, n_threads)
    out = [np.empty(y.shape[1:], y.dtype) if want else None for want in (mean, max, max)]
    views = [None if a is None else view(a, "out", (-1, -1), format, 0, True) for a in out]
    p.mean, p.max, p.step = buffer_of(views[0]), buffer_of(views[1]), buffer_of(views[2])
    cdef const fl_kernels *k = kernels_of(y.dtype.itemsize)
    with nogil:
        k.pool_forward(&p)
    return tuple(out)


def pool_backward(dy, lengths, dmean, dmax, step, *, int n_threads=1):
    """Write the gradient of y, dy [T,N,F], given those of mean and max ([N,F] or None).

    Nothing is written past a row's length.
    """
    format = format_of(dy)
    shape = tuple(dy.shape[1:])
    cdef View v = view(dy, "dy", (-1, -1, -1), format, 2, True)
    cdef View held = view(lengths, "lengths", (shape[0],), "q", 0)
    cdef fl_pool p = pool_of(dy, v, lengths, held, n_threads)
    views = [None if a is None else view(a, name, shape, format, 0)
             for name, a in (("dmean", dmean), ("dmax", dmax), ("step", step))]
    if (dmax is None) != (step is None):
        raise ValueError("dmax and step: expected both or neither")
    p.mean, p.max, p.step = buffer_of(views[0]), buffer_of(views[1]), buffer_of(views[2])
    cdef const fl_kernels *k = kernels_of(dy.dtype.itemsize)
    with nogil:
        k.pool_backward(&p)
