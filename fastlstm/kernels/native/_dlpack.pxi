# What a tensor is, and new ones, by DLPack's table of C functions: torch 2.10 has one, NumPy none yet.
# Part of _native.pyx. https://dmlc.github.io/dlpack/latest/c_api.html, ABI version 1.

cdef struct dl_tensor:
    void *data
    int32_t device, device_id, ndim
    uint8_t code, bits
    uint16_t lanes
    const int64_t *shape
    const int64_t *strides
    uint64_t byte_offset

cdef struct dl_exchange:
    uint32_t major, minor
    void *older
    void *allocate
    void *export
    int (*build)(void *managed, PyObject **out) except -1
    int (*borrow)(PyObject *array, dl_tensor *out) noexcept
    void *stream

# A tensor's numbers with what DLPack calls a managed tensor before them, in one block.
cdef struct dl_block:
    uint32_t major, minor
    void *context
    void (*free)(void *block) noexcept nogil
    uint64_t flags
    dl_tensor tensor
    int64_t sizes[6]  # its shape and strides

DEF DL_MAJOR = 1
DEF DL_BEFORE = 192  # bytes of a block: a whole number of cache lines
DEF DL_CPU = 1
DEF DL_FLOAT = 2

cdef struct Operand:
    void *at
    int bits, axes
    int64_t first  # of the first axis
    int64_t rows, columns  # of the last axis, and of those before it together


cdef const dl_exchange *exchange_of(capsule) noexcept:
    """The table in a capsule; NULL for anything else, and one that cannot lend or is of another ABI."""
    cdef const dl_exchange *found
    if not PyCapsule_IsValid(capsule, "dlpack_exchange_api"):
        return NULL
    found = <const dl_exchange *>PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
    return found if found.major == DL_MAJOR and found.borrow != NULL else NULL


cdef void free_block(void *block) noexcept nogil:
    fl_free(block)


cdef object new_tensor(const dl_exchange *exchange, Operand *o):
    """A dense tensor on the CPU as `o` describes it, not yet written; `o` says where it is then."""
    cdef size_t each = o.bits // 8
    cdef dl_block *b = <dl_block *>fl_alloc(DL_BEFORE + o.rows * o.columns * each)
    cdef PyObject *built = NULL
    cdef int i
    if b == NULL:
        raise MemoryError(f"no memory for a tensor of {o.rows} rows of {o.columns}")
    memset(b, 0, sizeof(dl_block))
    b.major, b.minor, b.free = exchange.major, exchange.minor, free_block
    if o.axes == 3:
        b.sizes[0], b.sizes[1] = o.first, o.rows // o.first
    else:
        b.sizes[0] = o.rows
    b.sizes[o.axes - 1], b.sizes[2 + o.axes] = o.columns, 1
    for i in range(o.axes - 2, -1, -1):
        b.sizes[3 + i] = b.sizes[4 + i] * b.sizes[1 + i]
    b.tensor.data = o.at = <char *>b + DL_BEFORE
    b.tensor.device, b.tensor.ndim = DL_CPU, o.axes
    b.tensor.code, b.tensor.bits, b.tensor.lanes = DL_FLOAT, o.bits, 1
    b.tensor.shape, b.tensor.strides = b.sizes, b.sizes + 3
    exchange.build(b, &built)
    made = <object>built
    Py_DECREF(made)  # the reference that it was built with
    return made


# No memory of a process lies below on any system that is common; above, some have their heap.
DEF SURELY_MEMORY = 1 << 40


cdef bint has_memory(tensor, const void *at) except -1:
    """Whether a tensor's values stand somewhere: torch's zeros of gradients do not.

    Raises
    ------
    RuntimeError
        If its storage was freed: its address is then that of its offset.
    """
    if <size_t>at >= SURELY_MEMORY:
        return True
    if tensor._is_zerotensor():
        return False
    if not tensor.untyped_storage().data_ptr():
        raise RuntimeError(
            f"a tensor of shape {tuple(tensor.shape)} has no memory, expected its values: its "
            "storage was freed, as by untyped_storage().resize_(0)"
        )
    return True


cdef bint borrow(const dl_exchange *exchange, array, Operand *o) except -1:
    """Whether this is a dense array of floats on the CPU, of one to three axes; what it is then.

    Of three axes none is empty.
    """
    cdef dl_tensor d
    cdef int64_t dense = 1
    cdef int i
    if exchange.borrow(<PyObject *>array, &d):
        PyErr_Clear()  # one that DLPack cannot describe
        return False
    if d.device != DL_CPU or d.code != DL_FLOAT or d.lanes != 1 or d.bits not in (32, 64):
        return False
    if not 0 < d.ndim <= 3:
        return False
    o.axes, o.bits, o.first, o.columns = d.ndim, d.bits, d.shape[0], d.shape[d.ndim - 1]
    o.at = <char *>d.data + d.byte_offset
    for i in range(d.ndim - 1, -1, -1):
        if d.shape[i] != 1 and d.strides[i] != dense:
            return False
        if d.ndim == 3 and d.shape[i] == 0:
            return False
        dense *= d.shape[i]  # no more than there are elements, so far
    o.rows = dense // o.columns if d.ndim == 3 else d.shape[0] if d.ndim == 2 else 1
    return not dense or has_memory(array, o.at)
