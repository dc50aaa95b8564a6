# The softmax over a vocabulary.
# Part of _native.pyx.

def softmax_cross_entropy(
    logits, targets, bias=None, target_bias=None, *, double scale=0.0, bint dbias=False,
    int n_threads=1,
):
    """Summed loss and its gradient: see `fastlstm.kernels.reference.softmax_cross_entropy`."""
    cdef fl_softmax p
    cdef View z, t, b = None, tb = None, loss, db = None
    cdef int failed
    memset(&p, 0, sizeof(p))
    logits, targets, bias, target_bias = read_softmax(logits, targets, bias, target_bias)
    cdef str format = format_of(logits, "logits")
    z = view(logits, "logits", (-1, -1), format, 0, True)
    p.M, p.V = z.b.shape[0], z.b.shape[1]
    t = view(targets, "targets", (p.M,), "q", 0)
    losses, sums = new_array(p.M), None
    loss = view(losses, "losses", (p.M,), "d", 0, True)
    if bias is not None:
        b = view(bias, "bias", (p.V,), format, 0)
    if target_bias is not None:
        tb = view(target_bias, "target_bias", (p.M,), format, 0)
    if dbias:
        sums = new_array(p.V, DTYPES[format])
        db = view(sums, "dbias", (p.V,), format, 0, True)
    p.z, p.target, p.loss = z.b.buf, <const int64_t *>t.b.buf, <double *>loss.b.buf
    p.bias, p.target_bias, p.dbias = buffer_of(b), buffer_of(tb), buffer_of(db)
    p.scale = scale
    p.n_threads = n_threads if p.M * p.V > 100000 else 1
    cdef const fl_kernels *k = kernels_of(z.b.itemsize)
    with nogil:
        failed = k.softmax_cross_entropy(&p)
    if failed:
        fail(failed, "the sums of a gradient's columns")
    return losses.sum().item(), sums
