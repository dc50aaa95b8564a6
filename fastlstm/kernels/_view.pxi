# Arrays as C sees them: checked, held, with strides in elements.
# Part of _native.pyx.

cdef class View:
    """A buffer held while C works on it, with its strides in elements."""
    cdef Py_buffer b
    cdef bint held

    def __cinit__(self, array, str name, tuple shape, str format, bint writable=False):
        cdef int flags = PyBUF_FORMAT | PyBUF_STRIDES | (PyBUF_WRITABLE if writable else 0)
        cdef int i
        PyObject_GetBuffer(array, &self.b, flags)
        self.held = True
        if (self.b.format[0] if self.b.format != NULL else 66) != <char>ord(format):
            # 'l' and 'q' are both int64 where long is
            if not (format == "q" and self.b.itemsize == 8 and self.b.format[0] == 108):
                raise TypeError(f"{name} has dtype {array.dtype}, expected {DTYPES[format]}")
        if self.b.ndim != len(shape):
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        for i in range(self.b.ndim):
            if shape[i] >= 0 and self.b.shape[i] != shape[i]:
                raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
            if self.b.strides[i] % self.b.itemsize:
                raise ValueError(f"{name} has strides {array.strides}, expected whole elements")

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.b)

    cdef int64_t stride(self, int axis):
        # an axis of one element may have any stride
        return 0 if self.b.shape[axis] == 1 else self.b.strides[axis] // self.b.itemsize

    cdef bint dense(self, int axis):
        """Whether the axes from `axis` on are contiguous."""
        cdef int64_t expected = self.b.itemsize
        cdef int i
        for i in range(self.b.ndim - 1, axis - 1, -1):
            if self.b.shape[i] != 1 and self.b.strides[i] != expected:
                return False
            expected *= self.b.shape[i]
        return True


DTYPES = {"f": "float32", "d": "float64", "q": "int64", "?": "bool"}


cdef View view(array, str name, tuple shape, str format, int dense_from, bint writable=False):
    cdef View v = View(array, name, shape, format, writable)
    if not v.dense(dense_from):
        raise ValueError(f"{name} has strides {array.strides}, expected contiguous axes")
    return v


cdef void *buffer_of(View v):
    return NULL if v is None else v.b.buf


cdef str format_of(array):
    code = array.dtype.char
    if code not in ("f", "d"):
        raise TypeError(f"w_hh has dtype {array.dtype}, expected float32 or float64")
    return code


cdef class Block:
    """Uninitialised memory out of the kept buffers, for an array that comes and goes each step."""
    cdef void *memory
    cdef Py_ssize_t size

    def __cinit__(self, Py_ssize_t size):
        self.size = size
        self.memory = fl_alloc(size)
        if self.memory == NULL:
            raise MemoryError(f"no memory for an array of {size} bytes")

    def __dealloc__(self):
        fl_free(self.memory)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.memory, self.size, 0, flags)


def empty(shape, dtype):
    """`numpy.empty` for large arrays: their memory is kept for the next when they are gone."""
    dtype = np.dtype(dtype)
    cdef Py_ssize_t size = dtype.itemsize
    for n in shape:
        size *= n
    if size < 65536:
        return np.empty(shape, dtype)
    return np.frombuffer(Block(size), dtype).reshape(shape)
