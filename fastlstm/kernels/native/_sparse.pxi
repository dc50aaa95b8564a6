# Sparse rows, keys of features, logistic regressions.
# Part of _native.pyx.

cdef View flat(array, str name, str format, bint writable=False):
    return view(array, name, (-1,), format, 0, writable)


cdef class KeyTable:
    """The numbers of sorted keys: see `fastlstm.kernels.reference.sparse.KeyTable`."""
    cdef fl_keys t
    cdef View keys, first

    def __cinit__(self, keys):
        cdef int64_t F
        cdef uint32_t *first
        # a copy, which nobody else writes to
        self.keys = flat(np.array(read_keys(keys)), "keys", "Q")
        F = self.t.F = self.keys.b.shape[0]
        self.t.key = <const uint64_t *>self.keys.b.buf
        self.t.bits = max(F - 1, 0).bit_length()
        self.first = flat(np.empty((<int64_t>1 << self.t.bits) + 1, np.uint32), "first", "I", True)
        self.t.first = first = <uint32_t *>self.first.b.buf
        with nogil:
            fl_index_keys(&self.t, first)

    def __len__(self):
        return self.t.F

    def find(self, keys):
        """The number of each key, int32 [M]: -1 for one that the table has not."""
        cdef View wanted = flat(np.ascontiguousarray(
            plain("keys", keys, np.dtype(np.uint64), (None,))), "keys", "Q")
        cdef int64_t M = wanted.b.shape[0]
        found = np.empty(M, np.int32)
        cdef View columns = flat(found, "columns", "i", True)
        with nogil:
            fl_find_keys(&self.t, M, <const uint64_t *>wanted.b.buf, <int32_t *>columns.b.buf)
        return found


cdef fl_sparse sparse(View offsets, View columns, View values):
    cdef fl_sparse x
    x.N = offsets.b.shape[0] - 1
    x.start, x.column = <const int64_t *>offsets.b.buf, <const int32_t *>columns.b.buf
    x.value = <const float *>buffer_of(values)
    return x


def collapse(columns, offsets, int64_t features):
    """How often each feature is named in a row: see `fastlstm.kernels.reference.collapse`."""
    check_count("features", features)
    columns = read_columns(columns, features, -1)
    check_count("columns", len(columns))
    offsets = read_offsets(offsets, len(columns))
    cdef View starts = flat(offsets, "offsets", "q"), named = flat(columns, "columns", "i")
    cdef fl_sparse x = sparse(starts, named, None)
    out = np.empty_like(offsets), np.empty_like(columns), np.empty(len(columns), np.float32)
    cdef View start = flat(out[0], "offsets", "q", True), column = flat(out[1], "columns", "i", True)
    cdef View count = flat(out[2], "values", "f", True)
    cdef View seen = flat(np.zeros(features, np.int32), "seen", "i", True)
    with nogil:
        fl_collapse(&x, <int32_t *>seen.b.buf, <int64_t *>start.b.buf, <int32_t *>column.b.buf,
                    <float *>count.b.buf)
    cdef int64_t end = (<int64_t *>start.b.buf)[x.N]
    return SparseRows(out[0], out[1][:end].copy(), out[2][:end].copy())


def sparse_product(rows, weights, *, int n_threads=1):
    """Rows times weights: see `fastlstm.kernels.reference.sparse_product`."""
    cdef View w = view(weights, "weights", (-1, -1), "f", 0)
    offsets, columns, values = read_rows(rows, w.b.shape[0])
    cdef View starts = flat(offsets, "offsets", "q"), named = flat(columns, "columns", "i")
    cdef View numbers = flat(values, "values", "f")
    cdef fl_sparse x = sparse(starts, named, numbers)
    cdef int64_t K = w.b.shape[1]
    found = np.empty((x.N, K))
    cdef View y = view(found, "y", (x.N, K), "d", 0, True)
    with nogil:
        fl_sparse_product(&x, K, <const float *>w.b.buf, <double *>y.b.buf)
    return found


def logistic(problem):
    """Solve logistic regressions: see `fastlstm.kernels.reference.logistic`."""
    cdef fl_logistic p
    cdef int result
    memset(&p, 0, sizeof(p))
    given = read_logistic(problem)
    offsets, columns, values = given.rows
    solution = LogisticSolution(
        empty((given.problems, given.features), np.float32),
        np.zeros(given.problems), np.zeros(given.problems, np.int64),
    )
    cdef View starts = flat(offsets, "offsets", "q"), named = flat(columns, "columns", "i")
    cdef View numbers = flat(values, "values", "f")
    cdef View targets = flat(given.targets, "targets", "q"), cost = flat(given.cost, "cost", "d")
    cdef View doubt = flat(given.doubt, "doubt", "d"), ended = flat(given.ended, "ended", "i")
    cdef View weights = view(solution.weights, "weights", (-1, -1), "f", 0, True)
    cdef View intercept = flat(solution.intercept, "intercept", "d", True)
    cdef View epochs = flat(solution.epochs, "epochs", "q", True)
    p.x = sparse(starts, named, numbers)
    p.F, p.classes, p.problems = given.features, given.classes, given.problems
    p.target, p.cost = <const int64_t *>targets.b.buf, <const double *>cost.b.buf
    p.doubt = <const double *>doubt.b.buf
    p.tolerance, p.max_epochs = given.tolerance, given.max_epochs
    p.seed = given.seed & 0xFFFFFFFFFFFFFFFF
    p.weights, p.intercept = <float *>weights.b.buf, <double *>intercept.b.buf
    p.epochs = <int64_t *>epochs.b.buf
    p.n_threads, p.ended = given.n_threads, <const int32_t *>ended.b.buf
    if current_thread() is main_thread():
        p.stop = signals
    with nogil:
        result = fl_fit_logistic(&p)
    if result == FL_STOPPED and given.ended[0]:
        raise EndedError
    if result:
        fail(result, f"regressions on {given.features} features")
    return solution
