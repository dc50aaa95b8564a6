# Mean and maximum over time.
# Part of _native.pyx.

cdef fl_pool pool_of(View v, View held, int n_threads):
    cdef fl_pool p
    memset(&p, 0, sizeof(p))
    p.T, p.N, p.F = v.b.shape[0], v.b.shape[1], v.b.shape[2]
    p.y, p.y_t, p.y_n = v.b.buf, v.stride(0), v.stride(1)
    p.lengths = <const int64_t *>held.b.buf
    p.n_threads = n_threads if p.T * p.N * p.F > 100000 else 1
    for n in range(p.N):
        if not 0 <= p.lengths[n] <= p.T:
            raise ValueError(f"lengths[{n}] is {p.lengths[n]}, expected 0 to {p.T}")
    return p


cdef int check_steps(const fl_pool *p) except -1:
    """The places of maxima, which are written to; rows of length 0 have none."""
    cdef int64_t n, f, step
    for n in range(p.N):
        for f in range(p.F):
            step = p.step[n * p.F + f]
            if p.lengths[n] and not 0 <= step < p.lengths[n]:
                raise IndexError(
                    f"step[{n}, {f}] is {step}, expected 0 to {p.lengths[n] - 1}"
                )
    return 0


def pool(y, lengths, *, bint mean, bint max, int n_threads=1):
    """Mean and maximum of y over each row's real steps, in one pass.

    Parameters
    ----------
    y : [T,N,F] with a contiguous last axis.
    lengths : int64 [N]; a row of length 0 gives zeros.
    mean, max : which of the two are wanted.

    Returns
    -------
    mean, max, step : [N,F], or None for what was not asked; `step`, int64, is where the maximum was.
    """
    format = format_of(y, "y")
    cdef View v = view(y, "y", (-1, -1, -1), format, 2)
    cdef View held = view(lengths, "lengths", (v.b.shape[1],), "q", 0)
    cdef fl_pool p = pool_of(v, held, n_threads)
    kinds = ((mean, format), (max, format), (max, "q"))
    out = [np.empty((p.N, p.F), DTYPES[kind]) if want else None for want, kind in kinds]
    views = [None if a is None else view(a, "out", (-1, -1), kind, 0, True)
             for a, (_, kind) in zip(out, kinds)]
    p.mean, p.max = buffer_of(views[0]), buffer_of(views[1])
    p.step = <int64_t *>buffer_of(views[2])
    cdef const fl_kernels *k = kernels_of(v.b.itemsize)
    with nogil:
        k.pool_forward(&p)
    return tuple(out)


def pool_backward(dy, lengths, dmean, dmax, step, *, int n_threads=1):
    """Write the gradient of y, dy [T,N,F], given those of mean and max ([N,F] or None).

    Nothing is written past a row's length.
    """
    format = format_of(dy, "dy")
    cdef View v = view(dy, "dy", (-1, -1, -1), format, 2, True)
    cdef View held = view(lengths, "lengths", (v.b.shape[1],), "q", 0)
    cdef fl_pool p = pool_of(v, held, n_threads)
    shape = (p.N, p.F)
    if (dmax is None) != (step is None):
        raise ValueError("dmax and step: expected both or neither")
    views = [None if a is None else view(a, name, shape, kind, 0)
             for name, a, kind in (("dmean", dmean, format), ("dmax", dmax, format),
                                   ("step", step, "q"))]
    p.mean, p.max = buffer_of(views[0]), buffer_of(views[1])
    p.step = <int64_t *>buffer_of(views[2])
    if p.step != NULL:
        check_steps(&p)
    cdef const fl_kernels *k = kernels_of(v.b.itemsize)
    with nogil:
        k.pool_backward(&p)
