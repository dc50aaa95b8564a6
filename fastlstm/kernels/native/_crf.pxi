# Linear-chain conditional random fields.
# Part of _native.pyx.

def run_crf(list arrays, bint best, int n_threads):
    """Run `fl_crf_loss`, or `fl_viterbi` for `best`, on what `crf_arrays` returned."""
    cdef fl_crf p
    cdef void *at[11]
    cdef View v
    cdef list held = []
    cdef int i, failed
    for i in range(11):
        at[i] = NULL
        array = arrays[i]
        if array is not None:
            v = view(array, "x", array.shape, "q" if i == 1 or i == 5 else "d", 0, i > 4)
            held.append(v)
            at[i] = v.b.buf
    v = held[0]
    p.N, p.T, p.K = v.b.shape[0], v.b.shape[1], v.b.shape[2]
    p.x, p.length, p.start = <const double *>at[0], <const int64_t *>at[1], <const double *>at[2]
    p.between, p.end, p.label = <const double *>at[3], <const double *>at[4], <int64_t *>at[5]
    p.loss, p.dx, p.dstart = <double *>at[6], <double *>at[7], <double *>at[8]
    p.dbetween, p.dend = <double *>at[9], <double *>at[10]
    p.n_threads = n_threads if p.N * p.T * p.K * (p.K + 16) > 500000 else 1
    with nogil:
        failed = fl_viterbi(&p) if best else fl_crf_loss(&p)
    if failed:
        fail(failed, "the sums over all paths")
