# One step of torch's cells and layers: tensors in and out, with as little as can be between them
# and C.
# Part of _native.pyx.

DEF MOST = 1024
DEF MOST_TRAINED = 64
DEF MOST_LAYERS = 8
DEF GATHERED = 256

# Rows of a batch in which each has one step.
cdef int64_t _order[MOST]
cdef int64_t _one[MOST]
for _row in range(MOST):
    _order[_row], _one[_row] = _row, 1


cdef class Kept:
    """A step, and what it keeps for its backward pass."""
    cdef fl_call p
    cdef const fl_kernels *kernels
    cdef int bits
    cdef int64_t n
    cdef int64_t first  # of the axes of a layer's x
    cdef int64_t[2] offset
    cdef fl_turn turn  # of a backward pass: it serves one
    cdef object __weakref__

    @property
    def trains(self):
        """Whether a step of so many rows is saved for a backward pass."""
        return self.n <= MOST_TRAINED

    def sizes(self):
        """What two steps have in common if they are of the same weights."""
        return self.bits, self.p.input.I, self.p.H

    cdef int set_rows(self, int64_t n) except -1:
        self.n = self.offset[1] = self.p.rows.N = n
        self.p.rows.T = 1
        self.p.rows.order, self.p.rows.length = _order, _one
        self.p.rows.n_at, self.p.rows.offset = &self.n, self.offset
        return 0

    def __dealloc__(self):
        fl_free(self.p.gates)
        fl_free(self.p.cells)
        fl_free(self.p.extra)


cdef class PackedWeights:
    """The weights of a cell or of layers, packed: for steps made while they do not change."""
    cdef object cell
    cdef list calls  # of each layer, with its packed weights
    cdef void *packed[MOST_LAYERS]
    cdef tuple weights
    cdef list versions

    def __dealloc__(self):
        cdef int i
        for i in range(MOST_LAYERS):
            fl_free(self.packed[i])

    def changed(self, tuple tensors not None):
        """Whether the last of a step's tensors are others, or torch wrote to them meanwhile."""
        cdef int i, n, w
        if self.versions is None:
            return True
        n = len(self.weights)
        w = len(tensors) - n
        if w < 0:
            return True
        for i in range(n):
            if tensors[w + i] is not self.weights[i]:
                return True
            if self.weights[i] is not None and self.weights[i]._version != self.versions[i]:
                return True
        return False


cdef bint same_sizes(const fl_call *a, const fl_call *b):
    return (a.rows.N == b.rows.N and a.input.I == b.input.I and a.H == b.H
            and (a.weights.b_ih == NULL) == (b.weights.b_ih == NULL)
            and (a.weights.b_hh == NULL) == (b.weights.b_hh == NULL))


cdef void *address(tensor) except? NULL:
    return NULL if tensor is None else <void *><size_t>tensor.data_ptr()


cdef void *dense_address(tensor, list held) except? NULL:
    """That of the tensor or, if it is not contiguous, of a copy, which is held."""
    if not tensor.is_contiguous() or tensor.is_neg():
        tensor = tensor.contiguous().resolve_neg()
        held.append(tensor)
    if not has_memory(tensor, address(tensor)):
        tensor = tensor.clone()
        held.append(tensor)
    return address(tensor)


cdef class WeightSums:
    """Gradients of a cell's weights over steps whose gates' are gathered: one product for many.

    The steps of a backward pass go through the same weights, so these are packed once for all of
    them: what writes to a weight's data while the pass runs, unseen by torch, goes unseen here. A
    thread at a time adds to it: that of the pass.
    """
    cdef Kept k
    cdef fl_grads g
    cdef list found
    cdef char *x
    cdef char *h
    cdef size_t gates, extra  # bytes of a row
    cdef void *packed  # the weights, for products backward; NULL before one needs them
    cdef bint with_dx

    def __cinit__(self, zeros_like, tuple weights):
        self.k = Kept()
        self.found = [None if t is None else zeros_like(t) for t in weights]
        self.g.dw_ih, self.g.dw_hh = address(self.found[0]), address(self.found[1])
        self.g.db_ih, self.g.db_hh = address(self.found[2]), address(self.found[3])
        self.g.part = FL_WEIGHTS

    def __dealloc__(self):
        fl_free(self.x)
        fl_free(self.h)
        fl_free(self.packed)

    cdef int lend(self, Kept step, bint dx) except -1:
        """Give a step the packed weights, if they are its own."""
        cdef fl_call *p = &step.p
        cdef const fl_weights *w = &self.k.p.weights
        cdef int64_t size
        if not self.fits(step) or p.weights.w_ih != w.w_ih or p.weights.w_hh != w.w_hh:
            return 0
        size = step.kernels.packed_back_size(p, dx) * (step.bits // 8)
        if size == 0:  # the weights are read as they are
            return 0
        if self.packed == NULL:
            self.packed, self.with_dx = fl_alloc(size), dx
            if self.packed == NULL:
                raise MemoryError("no memory for packed weights")
            with nogil:
                step.kernels.pack_back(p, dx, self.packed)
        if self.with_dx or not dx:
            p.packed_back = self.packed
        return 0

    cdef bint fits(self, Kept step):
        cdef const fl_call *p = &self.k.p
        cdef const fl_call *q = &step.p
        return (step.kernels == self.k.kernels and q.cell == p.cell and q.input.I == p.input.I
                and q.H == p.H)

    cdef bint start(self) except -1:
        cdef int64_t sizes[3]
        cdef size_t each = self.k.bits // 8
        cdef fl_call *p = &self.k.p
        self.k.set_rows(GATHERED)
        self.k.kernels.kept(p, sizes)
        self.gates, self.extra = sizes[0] // GATHERED, sizes[2] // GATHERED
        p.gates, p.extra = fl_alloc(sizes[0]), fl_alloc(sizes[2]) if sizes[2] else NULL
        self.x = <char *>fl_alloc(GATHERED * p.input.I * each)
        self.h = <char *>fl_alloc(GATHERED * p.H * each)
        if (p.gates == NULL or (sizes[2] and p.extra == NULL) or self.x == NULL or self.h == NULL):
            raise MemoryError("no memory for gradients of gates")
        p.input.x, p.h0 = self.x, self.h
        self.k.set_rows(0)
        return True

    cdef int add(self, Kept step, int n_threads) except -1:
        """Take the gradients of the gates that the backward pass of a step has left."""
        cdef fl_call *p = &self.k.p
        cdef const fl_call *q = &step.p
        cdef size_t each = self.k.bits // 8
        cdef int64_t n = p.rows.N
        if not self.fits(step):
            raise RuntimeError(
                "the weights have other shapes than in other steps of the graph, or the kernels are "
                "of another instruction set"
            )
        if q.rows.N > GATHERED:
            raise RuntimeError(f"a step of {q.rows.N} rows, expected at most {GATHERED} to gather")
        if n + q.rows.N > GATHERED:
            self.multiply(n_threads)
            n = 0
        memcpy(<char *>p.gates + n * self.gates, q.gates, q.rows.N * self.gates)
        if self.extra:
            memcpy(<char *>p.extra + n * self.extra, q.extra, q.rows.N * self.extra)
        memcpy(self.x + n * p.input.I * each, q.input.x, q.rows.N * p.input.I * each)
        memcpy(self.h + n * p.H * each, q.h0, q.rows.N * p.H * each)
        self.k.set_rows(n + q.rows.N)
        return 0

    cdef int multiply(self, int n_threads) except -1:
        """Make the product of what is gathered."""
        cdef int failed = 0
        self.k.p.n_threads = n_threads
        if self.k.p.rows.N:
            with nogil:
                failed = self.k.kernels.backward(&self.k.p, &self.g)
        self.k.set_rows(0)
        if failed:
            raise MemoryError("no memory for the gradients of weights")
        return 0

    def finish(self, int n_threads):
        """The gradients of the weights."""
        self.multiply(n_threads)
        return self.found


cdef class TensorStep:
    """Steps of a cell on torch's tensors, where nothing about them is unusual.

    The tensors of a step come in one order everywhere: x [N,I], its states [N,H], w_ih [GH,I], w_hh
    [GH,H], b_ih and b_hh [GH]; the biases None where there are none. Those of a layer's only step
    are x [1,N,I] or [N,1,I] and states [1,N,H]; of L layers the states are [L,N,H], and the weights of
    the first are followed by those of the next.

    Parameters
    ----------
    cell : its row in `spec.CELLS`.
    layers : how many there are; 0 for a cell.
    tensor, parameter : torch's types; others may mean something else by the same methods.
    exchange : torch's table for DLPack in C; None for a torch without it.
    dtypes : torch's numbers of 32 and of 64 bits.
    is_neg, empty_like, zeros_like : torch's functions.
    """
    cdef int number, gates, states, layers, axes  # of x and of the states
    cdef list names  # of the weights of each layer
    cdef readonly object cell
    cdef object tensor, parameter, is_neg, empty_like, zeros_like
    cdef tuple dtypes
    cdef const dl_exchange *exchange

    def __cinit__(self, cell, int layers, tensor, parameter, exchange, tuple dtypes, is_neg, empty_like,
                  zeros_like):
        if not cell.usual:
            raise NotImplementedError(f"a step of {cell.name} with other activations")
        self.number = number_of(cell)
        self.cell, self.gates, self.states = cell, len(cell.gates), len(cell.states)
        self.layers, self.axes = layers, 3 if layers else 2
        self.names = [tuple([name + suffix for name in
                             ("weight_ih", "weight_hh", "bias_ih", "bias_hh")])
                      for suffix in ([f"_l{k}" for k in range(layers)] or [""])]
        self.tensor, self.parameter, self.dtypes = tensor, parameter, dtypes
        self.is_neg, self.empty_like, self.zeros_like = is_neg, empty_like, zeros_like
        self.exchange = exchange_of(exchange)

    def tensors(self, dict own, bint bias, input, hx):
        """The tensors of a step from the parameters of a module; None if some stand elsewhere."""
        cdef list found
        cdef tuple names
        cdef Py_ssize_t i
        if self.states == 1:
            found = [input, hx]
        elif type(hx) is tuple and len(<tuple>hx) == 2:
            found = [input, (<tuple>hx)[0], (<tuple>hx)[1]]
        else:
            return None
        for names in self.names:
            # by name: a parametrized weight is not among them, and one that was may stand elsewhere
            for name in names:
                found.append(own.get(name))
            i = len(found)
            if found[i - 4] is None or found[i - 3] is None:
                return None
            if bias and (found[i - 2] is None or found[i - 1] is None):
                return None
        return tuple(found)

    def read_all(self, tuple tensors not None):
        """What `save` takes of these tensors; None if they are no plain ones that fit together."""
        cdef Kept k = Kept()
        return k if self.place(k, tensors) else None

    def wants_gradient(self, tuple tensors not None):
        """Whether a gradient may be asked for of any of these tensors."""
        for t in tensors:
            if t is not None and t.requires_grad:
                return True
        return False

    def of_leaves(self, tuple tensors not None, tuple weights=None):
        """Whether all weights are leaves that want a gradient, and are `weights`, if those are given."""
        cdef int i, w = len(tensors) - 4
        for i in range(4):
            t = tensors[w + i]
            if weights is not None and t is not weights[i]:
                return False
            if t is not None and not (t.requires_grad and t.is_leaf):
                return False
        return True

    def hold(self, ctx, tuple tensors not None, tuple unread not None):
        """Keep tensors until a backward pass, those at `unread` here and the others by torch.

        Returns what `held.Held` has. `ctx` is that of an autograd.Function; no hooks take what it saves.
        """
        cdef list saved = list(tensors), others = []
        for i in unread:
            t = saved[i]
            if t is not None and not t.is_inference():
                others.append((i, t, t._version))
                saved[i] = None
        ctx.save_for_backward(*saved)
        return others

    cdef bint read(self, tensor, Operand *o) except -1:
        """Whether the tensor is a plain one, of three axes at most; what it is then."""
        cdef bint parameter = type(tensor) is self.parameter
        if not parameter and type(tensor) is not self.tensor:
            return False
        if not (borrow(self.exchange, tensor, o) if self.exchange != NULL else self.ask(tensor, o)):
            return False
        # A negation that waits is that of a conjugate's imaginary part, whose elements do not stand
        # side by side. Of other tensors it is asked all the same, of parameters it takes too long.
        return parameter and o.rows * o.columns > 1 or not self.is_neg(tensor)

    cdef bint ask(self, tensor, Operand *o) except -1:
        """As `borrow`, of a torch that has no table of functions in C."""
        if not tensor.is_cpu or tensor.dtype not in self.dtypes or not 0 < tensor.ndim <= 3:
            return False
        try:
            if not tensor.is_contiguous():
                return False
        except RuntimeError:  # a sparse one
            return False
        o.at, o.bits = address(tensor), 32 << self.dtypes.index(tensor.dtype)
        o.axes, o.first, o.columns = tensor.ndim, tensor.shape[0], tensor.shape[tensor.ndim - 1]
        if o.axes == 3 and not tensor.numel():
            return False
        o.rows = prod(tensor.shape[: o.axes - 1])
        return not o.rows * o.columns or has_memory(tensor, o.at)

    cdef bint take(self, tensor, int bits, int axes, int64_t rows, int64_t columns,
                   const void **at) except -1:
        """Whether the tensor is a plain one of just these sizes; where it is then."""
        cdef Operand o
        if not self.read(tensor, &o):
            return False
        at[0] = o.at
        if o.axes == 3 and o.first != self.layers:  # of states
            return False
        return o.bits == bits and o.axes == axes and o.rows == rows and o.columns == columns

    cdef bint place_weights(self, Kept k, tuple tensors, int w) except -1:
        """Set the weights of a call, which stand from `w` on, and their sizes.

        False where one is not what it must be.
        """
        cdef fl_call *p = &k.p
        cdef Operand w_ih, w_hh
        cdef int64_t GH
        if len(tensors) < w + 4:
            return False
        if not self.read(tensors[w], &w_ih) or not self.read(tensors[w + 1], &w_hh):
            return False
        GH = self.gates * w_hh.columns
        if w_ih.axes != 2 or w_hh.axes != 2 or w_ih.rows != GH or w_hh.rows != GH:
            return False
        if w_ih.bits != w_hh.bits or w_ih.columns == 0 or GH == 0:
            return False  # and so both are real memory, of sizes whose products fit in int64
        k.bits = w_hh.bits
        p.cell, k.kernels = self.number, kernels_of(k.bits // 8)
        p.input.I = p.input.x_n = w_ih.columns
        p.H = p.R = p.y_n = w_hh.columns
        p.weights.w_ih, p.weights.w_hh = w_ih.at, w_hh.at
        return ((tensors[w + 2] is None
                 or self.take(tensors[w + 2], k.bits, 1, 1, GH, &p.weights.b_ih))
                and (tensors[w + 3] is None
                     or self.take(tensors[w + 3], k.bits, 1, 1, GH, &p.weights.b_hh)))

    cdef bint place_rows(self, Kept k, tuple tensors) except -1:
        """Set input and states of a call whose weights are set; False as above.

        The states of all layers are where those of the first are.
        """
        cdef fl_call *p = &k.p
        cdef int64_t rows
        cdef Operand x
        if not self.read(tensors[0], &x) or x.axes != self.axes or x.bits != k.bits:
            return False
        if x.axes == 3 and x.first != 1 and x.first != x.rows:  # more than one step
            return False
        if not 0 < x.rows <= MOST or x.columns != p.input.I:
            return False
        k.set_rows(x.rows)
        k.first = x.first
        p.input.x, rows = x.at, max(self.layers, 1) * x.rows
        return (self.take(tensors[1], k.bits, self.axes, rows, p.H, &p.h0)
                and (self.states == 1
                     or self.take(tensors[2], k.bits, self.axes, rows, p.H, &p.c0)))

    cdef bint place(self, Kept k, tuple tensors) except -1:
        """Set sizes and inputs of a call; False where a tensor is not what it must be."""
        return self.place_weights(k, tensors, self.states + 1) and self.place_rows(k, tensors)

    cdef list place_all_weights(self, tuple tensors, int w):
        """The calls of all layers with their weights, from `w` on, and sizes; None as above."""
        cdef Kept k, first = None
        cdef int i
        cdef list calls = []
        if self.layers > MOST_LAYERS:
            return None
        for i in range(max(self.layers, 1)):
            k = Kept()
            if not self.place_weights(k, tensors, w + 4 * i):
                return None
            if i == 0:
                first = k
            elif k.bits != first.bits or k.p.H != first.p.H or k.p.input.I != first.p.H:
                return None
            calls.append(k)
        return calls

    cdef list place_layers(self, tuple tensors):
        """The calls of all layers, but for what the others read of the first; None as above."""
        cdef list calls = self.place_all_weights(tensors, self.states + 1)
        return calls if calls is not None and self.place_rows(calls[0], tensors) else None

    cdef Operand new_rows(self, Kept k, int64_t first, int64_t columns):
        """What a new tensor of a step is like: a state, or an output or a gradient laid out as x."""
        cdef Operand o
        o.at, o.bits, o.axes, o.first, o.columns = NULL, k.bits, self.axes, first, columns
        o.rows = k.n
        return o

    cdef object state(self, Kept k, like, void **at):
        """A new state of all layers, and where it is."""
        cdef Operand o = self.new_rows(k, max(self.layers, 1), k.p.H)
        o.rows *= o.first
        return self.new(like, &o, at)

    cdef object new(self, like, Operand *o, void **at):
        if self.exchange != NULL and self.exchange.build != NULL:
            made = new_tensor(self.exchange, o)
            at[0] = o.at
        else:
            made = self.empty_like(like)
            at[0] = address(made)
        return made

    cdef object output(self, Kept k, tuple tensors, void **at):
        """Memory for an output laid out as x; whoever writes to it leaves the state alone."""
        cdef Operand o = self.new_rows(k, k.first, k.p.H)
        if self.exchange == NULL or self.exchange.build == NULL:
            like = tensors[1].new_empty((*tensors[0].shape[:2], k.p.H))
            at[0] = address(like)
            return like
        return self.new(None, &o, at)

    cdef tuple run(self, Kept k, tuple tensors, int n_threads):
        cdef int failed
        h = self.state(k, tensors[1], &k.p.h_n)
        c = self.state(k, tensors[2], &k.p.c_n) if self.states == 2 else None
        ends = (h,) if c is None else (h, c)
        k.p.y = k.p.h_n
        if self.axes == 3:
            ends = (self.output(k, tensors, &k.p.y), *ends)
        k.p.n_threads = n_threads
        with nogil:
            failed = k.kernels.forward(&k.p)
        if failed:
            raise MemoryError("no memory for a step")
        return ends

    cdef tuple run_layers(self, list calls, tuple tensors, int n_threads):
        cdef const fl_call *at[MOST_LAYERS]
        cdef Kept k, first = calls[0]
        cdef const fl_kernels *kernels = first.kernels
        cdef int64_t size = first.n * first.p.H * (first.bits // 8)  # of a layer's states
        cdef void *h_n
        cdef void *c_n
        cdef void *y_at
        cdef int i, failed = 0
        h, y = self.state(first, tensors[1], &h_n), self.output(first, tensors, &y_at)
        c = self.state(first, tensors[2], &c_n) if self.states == 2 else None
        for i in range(self.layers):
            k = calls[i]
            k.set_rows(first.n)
            at[i], k.p.n_threads = &k.p, n_threads
            k.p.h0 = <char *>first.p.h0 + i * size
            k.p.y = k.p.h_n = <char *>h_n + i * size
            if c is not None:
                k.p.c0 = <char *>first.p.c0 + i * size
                k.p.c_n = <char *>c_n + i * size
            if i:
                k.p.input.x = <char *>k.p.h_n - size
        k.p.y = y_at
        with nogil:
            for i in range(self.layers):
                failed = failed or kernels.forward(at[i])
        if failed:
            raise MemoryError("no memory for a step")
        return (y, h) if c is None else (y, h, c)

    def __call__(self, tuple tensors not None, int n_threads):
        """The new states, of layers after the last one's output; None if a tensor is not plain."""
        cdef list calls
        cdef Kept k
        if self.layers > 1:
            calls = self.place_layers(tensors)
            return calls and self.run_layers(calls, tensors, n_threads)
        k = Kept()
        return self.run(k, tensors, n_threads) if self.place(k, tensors) else None

    def pack(self, tuple weights not None):
        """The weights of a step, packed for `packed_step`; None if they are not plain."""
        cdef PackedWeights w = PackedWeights()
        cdef list calls = self.place_all_weights(weights, 0)
        cdef Kept k
        cdef int i = 0
        if calls is None:
            return None
        for k in calls:
            w.packed[i] = fl_alloc(k.kernels.packed_size(&k.p) * (k.bits // 8))
            if w.packed[i] == NULL:
                raise MemoryError("no memory for packed weights")
            k.kernels.pack(&k.p, w.packed[i])
            k.p.packed = w.packed[i]
            i += 1
        w.cell, w.calls, w.weights = self.cell, calls, weights
        w.versions = [None if t is None else t._version for t in weights]
        return w

    def packed_step(self, tuple tensors not None, PackedWeights w not None, int n_threads):
        """As a call, with the weights that were packed in place of those among the tensors."""
        cdef Kept k, packed
        cdef list calls = []
        if w.cell is not self.cell or w.versions is None or len(w.calls) != max(self.layers, 1):
            return None  # such as an RNNCell that got another nonlinearity
        for packed in w.calls:
            k = Kept()
            memcpy(&k.p, &packed.p, sizeof(fl_call))
            k.kernels, k.bits = packed.kernels, packed.bits
            calls.append(k)
        if not self.place_rows(calls[0], tensors):
            return None
        if self.layers < 2:
            return self.run(calls[0], tensors, n_threads)
        return self.run_layers(calls, tensors, n_threads)

    def save(self, tuple tensors not None, int n_threads, Kept k=None):
        """What a call returns, and what `backward` needs; `k` if the tensors were read just before.

        Of one layer at most.
        """
        if self.layers > 1:
            raise ValueError(f"a step of {self.layers} layers, expected one layer or a cell")
        if k is None:
            k = self.placed(Kept(), tensors)
        keep(&k.p, k.kernels)
        ends = self.run(k, tensors, n_threads)
        fl_give_turn(&k.turn)
        return ends, k

    cdef Kept placed(self, Kept k, tuple tensors):
        if not self.place(k, tensors):
            raise ValueError("tensors are no plain ones that fit together: see TensorStep.read_all")
        return k

    cdef int place_again(self, Kept k, tuple tensors) except -1:
        """Set the inputs of a step that was saved: the same, wherever they are by now."""
        cdef Kept now = self.placed(Kept(), tensors)
        if now.p.cell != k.p.cell or now.bits != k.bits:
            raise RuntimeError("the step was not saved with these tensors")
        if not same_sizes(&k.p, &now.p):
            raise RuntimeError("the tensors have other shapes than when the step was saved")
        k.p.input.x, k.p.h0, k.p.c0, k.p.weights = now.p.input.x, now.p.h0, now.p.c0, now.p.weights
        k.first = now.first
        return 0

    cdef void *gradient(self, Kept k, tuple given, int i, tuple tensors, list held) except? NULL:
        """Where the gradient of an output is; NULL for None."""
        cdef bint output = self.axes == 3 and i == 0
        cdef Operand o
        tensor = given[i]
        if tensor is None:
            return NULL
        if type(tensor) is not self.tensor and type(tensor) is not self.parameter:
            raise TypeError(f"dstate[{i}] is a {type(tensor).__name__}, expected a plain tensor")
        if (self.read(tensor, &o) and o.bits == k.bits and o.axes == self.axes and o.rows == k.n
                and o.columns == k.p.H and (o.axes == 2 or o.first == (k.first if output else 1))):
            return o.at
        like = tensors[1].transpose(0, 1) if output and len(tensors[0]) != 1 else tensors[1]
        if tensor.shape != like.shape or tensor.dtype != like.dtype or not tensor.is_cpu:
            raise ValueError(
                f"given[{i}] is {tensor.dtype} of shape {tuple(tensor.shape)}, expected "
                f"{like.dtype} of shape {tuple(like.shape)} on the CPU"
            )
        return dense_address(tensor, held)

    def backward(self, Kept k not None, tuple tensors not None, tuple given not None,
                 bint with_dx, int n_threads):
        """Gradients in the order of the tensors, given those of what a call returns (or None).

        What was kept serves once. Without `with_dx` that of x is None.
        """
        cdef fl_grads g
        cdef int w = self.states + 1
        cdef list held = []
        self.claim(k)
        try:
            found = self.set_gradients(k, &g, tensors, given, with_dx, held)
            found += [None if t is None else self.zeros_like(t) for t in tensors[w:]]
            g.dw_ih, g.dw_hh = address(found[w]), address(found[w + 1])
            g.db_ih, g.db_hh = address(found[w + 2]), address(found[w + 3])
        except BaseException:  # nothing was computed: it still serves
            fl_give_turn(&k.turn)
            raise
        self.run_backward(k, &g, n_threads)
        return found

    def backward_rows(self, Kept k not None, tuple tensors not None, tuple given not None,
                      bint with_dx, WeightSums sums, int n_threads):
        """As `backward`, of x and the states; those of the weights go to `sums`, if it is there."""
        cdef fl_grads g
        cdef list held = []
        self.claim(k)
        try:
            found = self.set_gradients(k, &g, tensors, given, with_dx, held)
            g.part = FL_GATES
            if sums is not None:
                sums.lend(k, with_dx)
        except BaseException:
            fl_give_turn(&k.turn)
            raise
        try:
            self.run_backward(k, &g, n_threads)
        finally:
            k.p.packed_back = NULL
        if sums is not None:
            sums.add(k, n_threads)
        return found

    cdef list set_gradients(self, Kept k, fl_grads *g, tuple tensors, tuple given, bint with_dx,
                            list held):
        """Set the arguments of a backward pass but for the weights; return new dx and dstate_0."""
        cdef int first = self.axes - 2  # of the states: before them is a layer's output
        cdef Operand o
        self.place_again(k, tensors)
        memset(g, 0, sizeof(g[0]))
        if first:
            g.dy, g.dy_t = self.gradient(k, given, 0, tensors, held), k.n * k.p.H
            g.dy_n = k.p.H
        g.dh_n = self.gradient(k, given, first, tensors, held)
        g.dc_n = self.gradient(k, given, first + 1, tensors, held) if self.states == 2 else NULL
        o = self.new_rows(k, k.first, k.p.input.I)
        found = [self.new(tensors[0], &o, &g.dx) if with_dx else None]
        g.dx_n = k.p.input.I
        found.append(self.state(k, tensors[1], &g.dh0))
        if self.states == 2:
            found.append(self.state(k, tensors[2], &g.dc0))
        return found

    cdef int claim(self, Kept k) except -1:
        """Take it for a backward pass."""
        if not fl_take_turn(&k.turn):
            raise RuntimeError("the step was used before, or is at this moment: save it again")
        return 0

    cdef int run_backward(self, Kept k, fl_grads *g, int n_threads) except -1:
        cdef int failed
        k.p.n_threads = n_threads
        with nogil:
            failed = k.kernels.backward(&k.p, g)
        if failed:
            raise MemoryError("no memory for the backward pass of a step")
        return 0

    def gather(self, tuple weights not None):
        """Sums for the gradients of these weights; None if they are not plain."""
        cdef WeightSums s = WeightSums(self.zeros_like, weights)
        return s if self.place_weights(s.k, weights, 0) and s.start() else None
