# A forward pass over arrays that stay where they are.
# Part of _native.pyx.

cdef class BoundForward:
    """A forward pass that is checked once and run many times, always over the same arrays.

    Parameters
    ----------
    cell, call : as for `forward`, without `save` or tokens; its arrays are read and written in
        every run.
    ends : where the last states go, [N,R or H] each.
    pack : whether the weights are packed now: later changes to them are not seen.
    """
    cdef HeldCall held
    cdef bint busy

    def __cinit__(self, cell, call, tuple ends not None, bint pack):
        cdef View v
        cdef fl_call *p
        if call.save or isinstance(call.x, Tokens):
            raise ValueError("a bound pass has neither `save` nor tokens")
        self.held = HeldCall()
        p = &self.held.p
        set_forward(self.held, cell, call)
        self.held.set_states(ends, "ends", <const void **>&p.h_n, <const void **>&p.c_n, True)
        if pack:
            size = self.held.kernels.packed_size(p)
            packed = np.empty(size, DTYPES[self.held.format])
            v = view(packed, "packed", (size,), self.held.format, 0, True)
            self.held.held.append(v)
            self.held.kernels.pack(p, v.b.buf)
            p.packed = v.b.buf

    def __call__(self, int n_threads=1):
        """Run; RuntimeError if another thread is inside."""
        cdef int failed
        cdef fl_call *p = &self.held.p
        if self.busy:
            raise RuntimeError("the arrays are in use by another thread: let callers take turns")
        self.busy = True
        try:
            p.n_threads = n_threads
            let_interrupt(p)
            with nogil:
                failed = self.held.kernels.forward(p)
        finally:
            self.busy = False
        if failed:
            fail(failed, f"a forward pass of {p.rows.T} steps of {p.rows.N} rows")
