# Arrays as C sees them: checked, held, with strides in elements.
# Part of _native.pyx.

cdef class View:
    """A buffer held while C works on it, with its strides in elements."""
    cdef Py_buffer b
    cdef bint held

    def __cinit__(self, array, str name, tuple shape, str format, bint writable=False):
        cdef int i
        self.take(array, name, format, writable)
        if self.b.ndim != len(shape):
            raise self.misfit(name, shape)
        for i in range(self.b.ndim):
            if shape[i] >= 0 and self.b.shape[i] != shape[i]:
                raise self.misfit(name, shape)
            if self.b.strides[i] % self.b.itemsize:
                raise ValueError(f"{name} has strides {self.steps()}, expected whole elements")
        if self.b.len and self.b.buf == NULL:
            raise ValueError(f"{name} has no memory: it was freed")

    cdef int take(self, array, str name, str format, bint writable) except -1:
        """Hold the buffer if its elements are of that format."""
        cdef int flags = PyBUF_FORMAT | PyBUF_STRIDES | (PyBUF_WRITABLE if writable else 0)
        cdef char code
        try:
            PyObject_GetBuffer(array, &self.b, flags)
        except (BufferError, TypeError):
            raise TypeError(f"{name} is {told(array)}, expected an array of {DTYPES[format]}")
        except ValueError:
            raise ValueError(f"{name} is read-only, expected an array to write to")
        self.held = True
        if self.b.itemsize and <size_t>self.b.buf % <size_t>self.b.itemsize:
            raise ValueError(f"{name} is not aligned, expected a copy of it")
        code = code_of(&self.b)
        # 'l' and 'q' are both int64 where long is, 'L' and 'Q' uint64
        if code != <char>ord(format) and not (
            self.b.itemsize == 8 and (format == "q" and code == 108 or format == "Q" and code == 76)
        ):
            raise TypeError(f"{name} is {told(array)}, expected {DTYPES[format]}")
        return 0

    cdef tuple shape(self):
        return tuple([self.b.shape[i] for i in range(self.b.ndim)])

    cdef tuple steps(self):
        return tuple([self.b.strides[i] for i in range(self.b.ndim)])

    cdef misfit(self, str name, tuple shape):
        expected = ", ".join(["any" if size < 0 else str(size) for size in shape])
        expected += "," * (len(shape) == 1)
        return ValueError(f"{name} has shape {self.shape()}, expected ({expected})")

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


cdef char code_of(const Py_buffer *b) noexcept:
    """The code of the elements of a buffer; 0 for those of several numbers or another byte order."""
    cdef const char *code = b.format
    if code == NULL:
        return 0
    if code[0] == NATIVE:  # of a dtype whose byte order somebody has named
        code += 1
    return code[0] if code[0] and not code[1] else 0


cdef bint get_buffer(array, Py_buffer *b) except -1:
    """Whether it is an array of NumPy as it comes, not one with a mask, of numbers; then its buffer
    is held."""
    if type(array) is not ndarray:
        return False
    try:
        PyObject_GetBuffer(array, b, PyBUF_FORMAT | PyBUF_STRIDES)
    except ValueError:  # dates are in no buffer
        return False
    return True


cdef char NATIVE = <char>ord("<" if sys.byteorder == "little" else ">")
MOST_BYTES = 1 << 60  # more than there is; sums of a few such still fit in int64
# By their codes in buffers. NumPy would look names up for each array that it makes.
DTYPES = {code: np.dtype(name) for code, name in
          [("f", "float32"), ("d", "float64"), ("i", "int32"), ("q", "int64"), ("I", "uint32"),
           ("Q", "uint64"), ("?", "bool")]}


cdef View view(array, str name, tuple shape, str format, int dense_from, bint writable=False):
    cdef View v = View(array, name, shape, format, writable)
    if not v.dense(dense_from):
        raise ValueError(f"{name} has strides {v.steps()}, expected contiguous axes")
    return v


cdef void *buffer_of(View v):
    return NULL if v is None else v.b.buf


cdef str told(value):
    """What a value is that is no array of the right kind."""
    dtype = getattr(value, "dtype", None)
    return f"a {type(value).__name__}" if dtype is None else f"an array of {dtype}"


cdef str format_of(array, str name):
    """The format that the array claims; `View` holds the buffer to it."""
    code = getattr(getattr(array, "dtype", None), "char", None)
    if code not in ("f", "d"):
        raise TypeError(f"{name} is {told(array)}, expected an array of float32 or float64")
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
    cdef object size = prod(shape) * dtype.itemsize  # of any length: a claim may be endless
    if size < 65536:
        return np.empty(shape, dtype)
    if size > MOST_BYTES:
        raise MemoryError(f"no memory for an array of shape {shape} and dtype {dtype}")
    return np.frombuffer(Block(size), dtype).reshape(shape)
