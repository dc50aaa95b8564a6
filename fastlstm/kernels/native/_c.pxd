"""The C interface, as `src/fastlstm.h` declares and explains it."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "fastlstm.h" nogil:
    ctypedef struct fl_rows:
        int64_t T, N
        const int64_t *order
        const int64_t *length
        const int64_t *n_at
        const int64_t *offset
        int reverse

    ctypedef struct fl_input:
        int64_t I
        const void *x
        int64_t x_t, x_n
        const int64_t *ids
        int64_t ids_t, ids_n, U
        int sparse

    ctypedef struct fl_weights:
        const void *w_ih
        const void *w_hh
        const void *b_ih
        const void *b_hh
        const void *w_hr
        const void *params

    ctypedef struct fl_activation:
        int kind
        double alpha, beta, clip

    # "in" is a keyword here
    ctypedef struct fl_call:
        int cell
        int others
        fl_activation activation, gate_activation, state_activation
        fl_rows rows
        fl_input input "in"
        int64_t H, R
        fl_weights weights
        const void *packed
        const void *packed_back
        const void *h0
        const void *c0
        const uint8_t *reset
        const void *reset_h
        const void *reset_c
        const void *mask
        void *y
        int64_t y_t, y_n
        void *h_n
        void *c_n
        int64_t recompute
        void *gates
        void *cells
        void *extra
        int n_threads
        int (*stop)() noexcept nogil

    ctypedef struct fl_grads:
        const void *dy
        int64_t dy_t, dy_n
        const void *dh_n
        const void *dc_n
        void *dh0
        void *dc0
        void *dreset_h
        void *dreset_c
        void *dx
        int64_t dx_t, dx_n
        int accumulate_dx
        void *dw_ih
        void *dw_hh
        void *db_ih
        void *db_hh
        void *dw_hr
        void *dparams
        int part

    enum:
        FL_ALL
        FL_GATES
        FL_WEIGHTS

    enum:
        FL_STOPPED

    enum:
        FL_FULL
        FL_BFLOAT16
        FL_INT8

    ctypedef struct fl_pool:
        int64_t T, N, F
        const int64_t *lengths
        void *y
        int64_t y_t, y_n
        void *mean
        void *max
        int64_t *step
        int n_threads

    ctypedef struct fl_adam:
        int64_t rows, width
        const int64_t *index
        void *p
        void *m
        void *v
        const void *g
        double rate, root, eps, beta1, beta2, shrink, decay, scale
        void *total
        const void *keep
        const void *add
        int64_t term
        int n_threads

    ctypedef struct fl_softmax:
        int64_t M, V
        void *z
        const void *bias
        const int64_t *target
        const void *target_bias
        double scale
        double *loss
        void *dbias
        int n_threads

    ctypedef struct fl_matmul:
        int64_t batch, n, m, K
        const void *a
        const void *b
        int a_transposed, b_transposed
        const void *packed
        const void *bias
        void *c
        int add
        int n_threads
        int (*stop)() noexcept nogil

    enum:
        FL_MAP
        FL_MEAN
        FL_CONV
        FL_CELL

    enum:
        FL_SAME
        FL_RELU
        FL_SIGMOID
        FL_TANH
        FL_MAGNITUDE
        FL_HARD_SIGMOID
        FL_SOFTSIGN

    ctypedef struct fl_part:
        int64_t p0, p1, start, K, O
        int fold
        const void *weight

    ctypedef struct fl_stage:
        int kind, map
        int64_t P, C, Q, O
        int64_t kernel, stride, context, left, right
        int sparse
        int reflect
        void *past
        int64_t n_parts
        fl_part *parts
        const void *bias
        fl_call cell

    ctypedef struct fl_chain:
        int64_t n, N
        fl_stage *stages

    ctypedef struct fl_frames:
        int64_t F
        const void *x
        int64_t x_n
        void *y
        int n_threads
        int (*stop)() noexcept nogil

    ctypedef struct fl_kernels:
        const char *isa
        int itemsize, width
        const char *(*cell_name)(int number) noexcept nogil
        int64_t (*packed_size)(const fl_call *p) noexcept nogil
        void (*pack)(const fl_call *p, void *packed) noexcept nogil
        int64_t (*packed_back_size)(const fl_call *p, int dx) noexcept nogil
        void (*pack_back)(const fl_call *p, int dx, void *packed) noexcept nogil
        void (*kept)(const fl_call *p, int64_t *sizes) noexcept nogil
        int64_t (*forward_bytes)(const fl_call *p) noexcept nogil
        int64_t (*backward_bytes)(const fl_call *p) noexcept nogil
        int (*forward)(const fl_call *p) noexcept nogil
        int (*backward)(const fl_call *p, const fl_grads *g) noexcept nogil
        void (*inside)(const fl_call *p, void *gates, void *cells) noexcept nogil
        int64_t (*matrix_size)(const fl_matmul *p) noexcept nogil
        void (*pack_matrix)(const fl_matmul *p, void *packed) noexcept nogil
        int (*matmul)(const fl_matmul *p) noexcept nogil
        int64_t (*chain_size)(const fl_chain *p) noexcept nogil
        void (*pack_chain)(fl_chain *p, void *packed) noexcept nogil
        int (*chain)(const fl_chain *p, const fl_frames *f) noexcept nogil
        void (*pool_forward)(const fl_pool *p) noexcept nogil
        void (*pool_backward)(const fl_pool *p) noexcept nogil
        void (*adam)(const fl_adam *a) noexcept nogil
        int (*softmax_cross_entropy)(const fl_softmax *p) noexcept nogil
        void (*exp)(int64_t n, const void *x, void *y) noexcept nogil
        void (*sigmoid)(int64_t n, const void *x, void *y) noexcept nogil
        void (*tanh)(int64_t n, const void *x, void *y) noexcept nogil

    ctypedef struct fl_many:
        const fl_kernels *kernels
        int64_t M, layers
        const fl_call *calls
        const fl_grads *grads
        const fl_adam *adam
        double work
        int n_threads
        int (*stop)() noexcept nogil

    int fl_run_many(const fl_many *m)
    void fl_sort_rows(int64_t T, int64_t N, const int64_t *lengths, int64_t *order,
                      int64_t *length, int64_t *n_at, int64_t *offset)
    const fl_kernels *fl_get_kernels(const char *isa, int itemsize, int precision)
    int fl_use(const char *isa)
    const char *fl_isa_in_use()
    const fl_kernels *fl_kernels_in_use(int itemsize, int precision)
    int fl_isa_built(const char *isa)
    int fl_isa_supported(const char *isa)
    const char *const *fl_isa_names()
    void *fl_alloc(size_t bytes)
    void fl_free(void *block)
    void fl_trim()
    size_t fl_cached_bytes()
    size_t fl_block_bytes(size_t bytes)
    uint64_t fl_float_state()
    void fl_be_patient(int yes)

cdef extern from "turn.h" nogil:
    ctypedef struct fl_turn:
        pass

    int fl_take_turn(fl_turn *t)
    void fl_give_turn(fl_turn *t)

cdef extern from "sparse.h" nogil:
    ctypedef struct fl_sparse:
        int64_t N
        const int64_t *start
        const int32_t *column
        const float *value

    ctypedef struct fl_keys:
        int64_t F
        const uint64_t *key
        int bits
        const uint32_t *first

    void fl_index_keys(const fl_keys *t, uint32_t *first)
    void fl_find_keys(const fl_keys *t, int64_t M, const uint64_t *key, int32_t *column)
    void fl_collapse(const fl_sparse *named, int32_t *seen, int64_t *start, int32_t *column,
                     float *count)
    void fl_sparse_product(const fl_sparse *x, int64_t K, const float *w, double *y)

    ctypedef struct fl_logistic:
        fl_sparse x
        int64_t F, classes, problems
        const int64_t *target
        const double *cost
        const double *doubt
        double tolerance
        int64_t max_epochs
        uint64_t seed
        float *weights
        double *intercept
        int64_t *epochs
        int n_threads
        int (*stop)() noexcept nogil
        const int32_t *ended

    int fl_fit_logistic(const fl_logistic *p)

cdef extern from "crf.h" nogil:
    ctypedef struct fl_crf:
        int64_t N, T, K
        const double *x
        const int64_t *length
        const double *start
        const double *between
        const double *end
        int64_t *label
        double *loss
        double *dx
        double *dstart
        double *dbetween
        double *dend
        int n_threads

    int fl_crf_loss(const fl_crf *p) noexcept
    int fl_viterbi(const fl_crf *p) noexcept
