# Ctrl-C in the middle of a long call.
# Part of _native.pyx.

# By a signal's handler, on its way out of the kernel: the main thread's alone, as signals are.
cdef object _raised = None


cdef int signals() noexcept with gil:
    """Runs the handlers of signals that came; whether one of them raised."""
    global _raised
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        _raised = error
        return 1
    return 0


cdef int let_interrupt(fl_call *p) except -1:
    """Have a call of more than some 0.1 s ask for signals, which are the main thread's alone."""
    cdef double work = 8.0 * p.H * (p.input.I + p.R) * p.rows.offset[p.rows.T]
    p.stop = NULL
    if work > 2e10 and current_thread() is main_thread():
        p.stop = signals
    return 0


cdef int fail(int result, str what) except -1:
    """Raise what ended a call early: a signal, or the lack of memory."""
    global _raised
    if result == FL_STOPPED:
        error, _raised = _raised, None
        raise error
    raise MemoryError(f"no memory for {what}")
