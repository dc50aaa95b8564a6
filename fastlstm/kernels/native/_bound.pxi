# A forward pass over arrays that stay where they are.
# Part of _native.pyx.

cdef class BoundForward:
    """A forward pass that is checked once and run many times, always over the same arrays.

    Parameters
    ----------
    cell, call : as for `forward`, without `save` or tokens; its arrays are read and written in
        every run.
    ends : where the last states go, [N,R or H] each.
    pack : whether the weights are packed now: later changes to them are not seen. Or another one
        of the same cell and weights, whose packed ones are used.
    """
    cdef HeldCall held
    cdef fl_turn turn

    def __cinit__(self, cell, call, tuple ends not None, pack):
        cdef View v
        cdef fl_call *p
        if call.save or isinstance(call.x, Tokens):
            raise ValueError("a bound pass has neither `save` nor tokens")
        self.held = HeldCall()
        p = &self.held.p
        set_forward(self.held, cell, call)
        self.held.set_states(ends, "ends", <const void **>&p.h_n, <const void **>&p.c_n, True)
        if isinstance(pack, BoundForward):
            self.share(pack)
        elif pack:
            size = self.held.kernels.packed_size(p)
            packed = np.empty(size, DTYPES[self.held.format])
            v = view(packed, "packed", (size,), self.held.format, 0, True)
            self.held.held.append(v)
            self.held.kernels.pack(p, v.b.buf)
            p.packed = v.b.buf
        fl_give_turn(&self.turn)

    cdef int share(self, BoundForward other) except -1:
        """Use the packed weights of another one."""
        cdef fl_call *p = &self.held.p
        cdef fl_call *q = &other.held.p
        cdef bint fit = (
            q.packed != NULL and self.held.kernels == other.held.kernels and p.cell == q.cell
            and p.input.I == q.input.I and p.H == q.H and p.R == q.R
            and p.weights.w_ih == q.weights.w_ih and p.weights.w_hh == q.weights.w_hh
            and p.weights.b_ih == q.weights.b_ih and p.weights.b_hh == q.weights.b_hh
            and p.weights.w_hr == q.weights.w_hr and (p.weights.params == NULL) == (q.weights.params == NULL)
        )
        if not fit:
            raise ValueError("pack is of other weights or another cell, or packed none")
        p.packed = q.packed
        self.held.held.append(other)
        return 0

    def __call__(self, int n_threads=1):
        """Run; RuntimeError if another thread is inside."""
        cdef int failed
        cdef fl_call *p = &self.held.p
        if not fl_take_turn(&self.turn):
            raise RuntimeError("the arrays are in use by another thread: let callers take turns")
        try:
            p.n_threads = n_threads
            let_interrupt(p)
            with nogil:
                failed = self.held.kernels.forward(p)
        finally:
            fl_give_turn(&self.turn)
        if failed:
            fail(failed, f"a forward pass of {p.rows.T} steps of {p.rows.N} rows")
