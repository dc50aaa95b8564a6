/* A chain of stages, whole: frames of rows of signals go through all of them, a block at a time.
 *
 * Between two stages stand the frames of a block, one after the other, each [positions, channels]
 * without gaps. So the factors of a convolution at one position are neighbours in memory, those of
 * the next one begin `stride` positions further, and nothing is copied to make rows of a product of
 * them. In front of a frame there is room for what the stage keeps of the past, and on both sides
 * for padding.
 *
 * Zeros that stand for padding need not be multiplied: a tap of a convolution meets only those
 * positions that are there. Taps that meet the same ones make a part, packed by itself; a tap that
 * meets none is not even packed. A part adds to sums that begin with the bias, in the order of
 * taps: each number that goes out is one chain of multiply-adds, whatever the block and the rows
 * beside it.
 *
 * A basis of cosines and sines (of a Fourier transform, windowed) is even and odd about its middle:
 * it is multiplied with x[n] + x[K-n] and x[n] - x[K-n], of which there are half as many.
 *
 * Cells are those of the time loop: a block's frames are the steps of one call.
 *
 * What a frame of one row takes is the way of its weights from the second-level cache, 27 bytes a
 * cycle of a Zen 4 (a voice detector: 1 MB, 13.5 us a frame; 64 rows at once 9.8 us each, which is
 * what their multiply-adds take). So a weight that meets a zero of a relu stays where it is
 * (sparse_row.h): 16.3 us without that.
 *
 * Tried and dropped:
 *   weights of cells walked up and down in turn, from call to call: the same (and 0 to 2 % of a
 *     step with 1 to 8 MB of weights): the third level gives 22 bytes a cycle
 */
#ifndef FL_CHAIN_H
#define FL_CHAIN_H

#include <stdatomic.h>

#include "forward.h"

enum { CHAIN_ROWS = 48 };         /* of a convolution's product at a time */
enum { CHAIN_BLOCK = 384 << 10 }; /* bytes between stages, which stay in a second-level cache */
enum { CHAIN_FRAMES = 64 };       /* of a block, at most */

/* Numbers of a frame as it comes to a stage, with what stands around it. */
FL_INLINE int64_t frame_size(const fl_stage *s) {
    return (s->left + s->context + s->P + s->right) * s->C;
}
FL_INLINE int64_t frame_front(const fl_stage *s) { return (s->left + s->context) * s->C; }

/* Channels that go out. */
FL_INLINE int64_t made_channels(const fl_stage *s) {
    return s->map == FL_MAGNITUDE ? s->O / 2 : s->O;
}

FL_INLINE int is_folded(const fl_stage *s) { return s->kind == FL_CONV && s->parts[0].fold; }

/* Where the second half of the channels stands in a row of sums, and how long that is. */
FL_INLINE int64_t second_half(const fl_stage *s) {
    return is_folded(s) ? round_up(s->O / 2) : s->O / 2;
}
FL_INLINE int64_t sums_width(const fl_stage *s) {
    return is_folded(s) ? 2 * round_up(s->O / 2) : round_up(s->O);
}

FL_INLINE weight_shape part_shape(const fl_part *p) {
    return (weight_shape){.H = p->O, .K = p->K, .G = 1, .V = FL_PANEL};
}

/* The bias, a half of the channels where its sums are; zeros without one. */
static void pack_chain_bias(const fl_stage *s, real *to) {
    int64_t first = is_folded(s) ? s->O / 2 : s->O;
    memset(to, 0, (size_t)sums_width(s) * sizeof(real));
    if (!s->bias) return;
    memcpy(to, s->bias, (size_t)first * sizeof(real));
    memcpy(to + second_half(s), (const real *)s->bias + first,
           (size_t)(s->O - first) * sizeof(real));
}

/* Takes a convolution's part of the memory, and packs its weights unless that is NULL. */
static void place_convolution(fl_stage *s, arena *m) {
    for (int64_t j = 0; j < s->n_parts; j++) {
        fl_part *p = &s->parts[j];
        weight_shape shape = part_shape(p);
        real *to = take(m, gates_size(&shape) * p->K);
        if (to) pack_gates(&shape, p->weight, to, 0, vectors(p->O)), p->packed = to;
    }
    real *bias = take(m, sums_width(s));
    if (bias) pack_chain_bias(s, bias), s->packed_bias = bias;
}

/* Packs all weights, or learns their size from NULL. */
static int64_t place_chain(const fl_chain *k, real *packed) {
    arena m = {packed, 0};
    for (int64_t i = 0; i < k->n; i++) {
        fl_stage *s = &k->stages[i];
        if (s->kind == FL_CONV) place_convolution(s, &m);
        if (s->kind != FL_CELL) continue;
        real *to = take(&m, packed_size(&s->cell));
        if (to) pack(&s->cell, to), s->cell.packed = to;
    }
    return m.size;
}

static int64_t chain_flops(const fl_chain *k) {
    int64_t flops = 0;
    for (int64_t i = 0; i < k->n; i++) {
        const fl_stage *s = &k->stages[i];
        if (s->kind == FL_CELL) {
            call c = call_of(cell_of(&s->cell), &s->cell, NULL);
            flops += 2 * s->P * c.GHp * (s->C + s->cell.R);
        }
        for (int64_t j = 0; s->kind == FL_CONV && j < s->n_parts; j++)
            flops += 2 * (s->parts[j].p1 - s->parts[j].p0) * s->parts[j].K * s->parts[j].O;
    }
    return flops + 1;
}

static int64_t chain_size(const fl_chain *k) { return place_chain(k, NULL); }

static void pack_chain(fl_chain *k, void *packed) {
    place_chain(k, packed);
    k->flops = chain_flops(k);
}

/* A call, and how its frames are cut into blocks. */
typedef struct {
    const fl_chain *k;
    const fl_frames *p;
    stopping *stop;
    int64_t items; /* frames of a block */
    int64_t buffer, sums,
        folds;      /* of a thread's memory: between stages, twice; sums; folded rows */
    int64_t counts; /* of steps of a cell */
    real *scratch;
    int64_t scratch_size;
    _Atomic int failed;
} chain_call;

/* Frames f..f+F-1 of rows r..r+R-1; frame number i of a block is that of row i / F. */
typedef struct {
    const chain_call *k;
    int64_t r, R, f, F;
    real *in, *out; /* between stages */
    real *sums, *folds;
    int64_t *counts;
} chain_block;

/* Where the frames of a block stand. */
typedef struct {
    real *at;
    int64_t by_row, by_frame;
} frames;

/* Numbers for all positions of a frame before the map. */
FL_INLINE int64_t sums_of_frame(const fl_stage *s) { return s->kind == FL_MAP ? 0 : s->Q * s->O; }

/* Plans blocks of so many frames of so many rows, and a thread's memory. */
static void plan_chain(chain_call *k, int64_t rows) {
    int64_t largest = 1, most = 1, width = VL, folds = 0, steps = 1;
    for (int64_t i = 0; i < k->k->n; i++) {
        const fl_stage *s = &k->k->stages[i];
        largest = max64(largest, frame_size(s));
        if (s->kind == FL_CONV) width = max64(width, sums_width(s));
        if (is_folded(s)) folds = max64(folds, round_up(s->parts[0].K));
        if (s->kind == FL_CELL || s->kind == FL_MEAN) most = max64(most, sums_of_frame(s));
        steps = max64(steps, s->P);
    }
    int64_t fit = CHAIN_BLOCK / ((2 * largest + most) * (int64_t)sizeof(real));
    k->items = min64(max64(1, min64(fit, CHAIN_FRAMES)), rows * k->p->F);
    k->buffer = round_up(k->items * largest);
    k->sums = max64(CHAIN_ROWS * width, round_up(k->items * most) + VL);
    k->folds = CHAIN_ROWS * folds;
    k->counts = (2 * k->items * (steps + 1) + 1) * (int64_t)(sizeof(int64_t) / sizeof(real));
    k->scratch_size = 2 * k->buffer + k->sums + k->folds + round_up(k->counts);
}

FL_INLINE real *frame_of(const frames *to, const chain_block *b, int64_t item) {
    return to->at + item / b->F * to->by_row + item % b->F * to->by_frame;
}

/* A row of channels through a map, to where it goes. */
static void map_row(int map, const real *from, int64_t half, int64_t n, real *to) {
    for (int64_t u = 0; u < n; u += VL) {
        int64_t lanes = min64(VL, n - u);
        vreal v = vload_n(from + u, lanes);
        if (map == FL_RELU) v = vrelu(v);
        if (map == FL_SIGMOID) v = vsigmoid(v);
        if (map == FL_TANH) v = vtanh(v);
        if (map == FL_MAGNITUDE) {
            vreal im = vload_n(from + half + u, lanes);
            v = vsqrt(vfma(im, im, v * v));
        }
        vstore_n(to + u, v, lanes);
    }
}

/* Rows j0..j0+n-1 of all positions of a block, `step` apart in `from`, to where they go. */
static void map_rows(const fl_stage *s, const chain_block *b, const real *from, int64_t step,
                     int64_t j0, int64_t n, const frames *to) {
    int64_t channels = made_channels(s), half = second_half(s);
    for (int64_t j = j0; j < j0 + n; j++, from += step)
        map_row(s->map, from, half, channels, frame_of(to, b, j / s->Q) + j % s->Q * channels);
}

/* Around each frame of a block: what is kept of the past, padding. */
static void surround(const fl_stage *s, const chain_block *b) {
    int64_t size = frame_size(s), past = s->context * s->C, there = s->context + s->P;
    for (int64_t i = 0; i < b->R * b->F; i++) {
        real *frame = b->in + i * size, *first = frame + s->left * s->C;
        if (past) {
            real *kept = (real *)s->past + (b->r + i / b->F) * past;
            const real *before = i % b->F ? first - size + s->P * s->C : kept;
            memcpy(first, before, (size_t)past * sizeof(real));
            if (i % b->F == b->F - 1)
                memcpy(kept, first + s->P * s->C, (size_t)past * sizeof(real));
        }
        size_t channels = (size_t)s->C * sizeof(real);
        for (int64_t p = 1; p <= s->left; p++)
            if (s->reflect)
                memcpy(first - p * s->C, first + p * s->C, channels);
            else
                memset(first - p * s->C, 0, channels);
        real *last = first + (there - 1) * s->C;
        for (int64_t p = 1; p <= s->right; p++)
            if (s->reflect)
                memcpy(last + p * s->C, last - p * s->C, channels);
            else
                memset(last + p * s->C, 0, channels);
    }
}

FL_INLINE vreal reversed(vreal v) {
#if defined(__clang__)
    vreal r = v;
#pragma GCC unroll 16
    for (int l = 0; l < VL; l++) r[l] = v[VL - 1 - l];
    return r;
#else
    static const intlane LANES[] = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    vint order;
    memcpy(&order, LANES + 16 - VL, sizeof order);
    return __builtin_shuffle(v, order);
#endif
}

/* x[n] + x[K-n], of n from 1 to below the middle, then the middle and x[0], or those of them for
 * which there are weights; or x[n] - x[K-n]. */
static void fold_row(const real *x, int64_t K, int sign, int64_t n, real *to) {
    int64_t pairs = K / 2 - 1, i = 0;
    for (; i + VL <= pairs; i += VL) {
        vreal a = vload(x + 1 + i), b = reversed(vload(x + K - VL - i));
        vstore(to + i, sign > 0 ? a + b : a - b);
    }
    for (; i < pairs; i++) to[i] = sign > 0 ? x[1 + i] + x[K - 1 - i] : x[1 + i] - x[K - 1 - i];
    if (n > pairs) to[pairs] = x[K / 2];
    if (n > pairs + 1) to[pairs + 1] = x[0];
}

/* Rows j0..j0+n-1 of a convolution. */
static void convolve_rows(const fl_stage *s, const chain_block *b, int64_t j0, int64_t n) {
    const real *a[CHAIN_ROWS];
    real *c[CHAIN_ROWS];
    int64_t width = sums_width(s), size = frame_size(s), step = s->stride * s->C;
    for (int64_t r = 0; r < n; r++)
        memcpy(b->sums + r * width, s->packed_bias, (size_t)width * sizeof(real));
    for (int64_t i = 0; i < s->n_parts; i++) {
        const fl_part *taps = &s->parts[i];
        int64_t rows = 0, folded = round_up(s->parts[0].K);
        int64_t item = j0 / s->Q, p = j0 % s->Q;
        for (int64_t r = 0; r < n; r++) {
            if (p >= taps->p0 && p < taps->p1) {
                a[rows] = b->in + item * size + p * step + taps->start;
                if (taps->fold) {
                    real *to = b->folds + rows * folded;
                    fold_row(a[rows], s->kernel, taps->fold, taps->K, to);
                    a[rows] = to;
                }
                c[rows++] = b->sums + r * width + (taps->fold < 0 ? second_half(s) : 0);
            }
            if (++p == s->Q) p = 0, item++;
        }
        product m = {.n = rows,
                     .K = taps->K,
                     .a = a,
                     .b = taps->packed,
                     .nv = vectors(taps->O),
                     .V = FL_PANEL,
                     .p0 = 0,
                     .p1 = (vectors(taps->O) + FL_PANEL - 1) / FL_PANEL,
                     .cin = (const real *const *)c,
                     .cin_panel = PANEL,
                     .c = c,
                     .c_panel = PANEL};
        if (s->sparse && rows == 1)
            sparse_product(&m);
        else
            product_only(&m);
    }
}

static void convolve(const fl_stage *s, const chain_block *b, const frames *to) {
    int64_t rows = b->R * b->F * s->Q;
    for (int64_t j = 0, n; j < rows; j += n) {
        n = min64(CHAIN_ROWS, rows - j);
        convolve_rows(s, b, j, n);
        map_rows(s, b, b->sums, sums_width(s), j, n, to);
    }
}

static void average(const fl_stage *s, const chain_block *b, const frames *to) {
    for (int64_t i = 0; i < b->R * b->F; i++)
        for (int64_t u = 0; u < s->C; u += VL) {
            const real *x = b->in + i * s->P * s->C + u;
            int64_t lanes = min64(VL, s->C - u);
            vreal sum = vload_n(x, lanes);
            for (int64_t p = 1; p < s->P; p++) sum += vload_n(x + p * s->C, lanes);
            vstore_n(b->sums + i * s->C + u, sum / vset1((real)s->P), lanes);
        }
    map_rows(s, b, b->sums, s->C, 0, b->R * b->F, to);
}

/* The steps of a cell: those of all frames of a row. Returns 0, or -1 if memory ran out. */
static int step_cell(const fl_stage *s, const chain_block *b, const frames *to) {
    fl_call p = s->cell;
    int64_t T = b->F * s->P, *order = b->counts, *length = order + b->R, *n_at = length + b->R,
            *offset = n_at + T;
    for (int64_t r = 0; r < b->R; r++) order[r] = r, length[r] = T;
    for (int64_t t = 0; t <= T; t++) offset[t] = t * b->R;
    for (int64_t t = 0; t < T; t++) n_at[t] = b->R;
    p.rows = (fl_rows){T, b->R, order, length, n_at, offset, 0};
    p.in = (fl_input){.I = s->C, .x = b->in, .x_t = s->C, .x_n = T * s->C, .sparse = s->sparse};
    p.h0 = (const real *)p.h0 + b->r * p.R, p.h_n = (void *)p.h0;
    if (p.c0) p.c0 = (const real *)p.c0 + b->r * p.H, p.c_n = (void *)p.c0;
    p.y = b->sums, p.y_t = p.R, p.y_n = T * p.R;
    p.n_threads = 1;
    if (forward(&p)) return -1;
    map_rows(s, b, b->sums, p.R, 0, b->R * T, to);
    return 0;
}

/* A frame of the block into the buffer before the first stage. */
static void take_frames(const chain_block *b, const fl_stage *first) {
    const fl_frames *p = b->k->p;
    int64_t n = first->P * first->C, size = frame_size(first);
    for (int64_t i = 0; i < b->R * b->F; i++) {
        const real *x = (const real *)p->x + (b->r + i / b->F) * p->x_n + (b->f + i % b->F) * n;
        memcpy(b->in + i * size + frame_front(first), x, (size_t)n * sizeof(real));
    }
}

/* Where what a stage makes goes: to the next one, or to the caller. */
static frames place_frames(const chain_block *b, int64_t i) {
    const fl_chain *k = b->k->k;
    const fl_frames *p = b->k->p;
    if (i + 1 < k->n) {
        const fl_stage *next = &k->stages[i + 1];
        int64_t size = frame_size(next);
        return (frames){b->out + frame_front(next), b->F * size, size};
    }
    int64_t size = k->stages[i].Q * made_channels(&k->stages[i]);
    return (frames){(real *)p->y + (b->r * p->F + b->f) * size, p->F * size, size};
}

/* A block through all stages. Returns 0, or -1 if memory ran out. */
static int run_block(chain_block *b) {
    const fl_chain *k = b->k->k;
    take_frames(b, &k->stages[0]);
    for (int64_t i = 0; i < k->n; i++) {
        const fl_stage *s = &k->stages[i];
        frames to = place_frames(b, i);
        if (s->kind == FL_MAP) map_rows(s, b, b->in, s->C, 0, b->R * b->F * s->P, &to);
        if (s->kind == FL_MEAN) average(s, b, &to);
        if (s->kind == FL_CELL && step_cell(s, b, &to)) return -1;
        if (s->kind == FL_CONV) {
            surround(s, b);
            convolve(s, b, &to);
        }
        real *made = b->out;
        b->out = b->in, b->in = made;
    }
    return 0;
}

/* A thread's rows, in blocks as equal as can be; frames one after the other. */
static void chain_body(void *ctx, int thread, int threads, fl_team *team) {
    chain_call *k = ctx;
    int64_t r0 = part(k->k->N, thread, threads), rows = part(k->k->N, thread + 1, threads) - r0;
    int64_t blocks = (rows + k->items - 1) / k->items, done = 0;
    real *own = k->scratch + thread * k->scratch_size, *sums = own + 2 * k->buffer;
    (void)team;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t first = rows * i / blocks, R = rows * (i + 1) / blocks - first;
        int64_t most = max64(1, k->items / R);
        for (int64_t f = 0, F; f < k->p->F; f += F) {
            F = min64(most, k->p->F - f);
            chain_block b = {k,
                             r0 + first,
                             R,
                             f,
                             F,
                             own,
                             own + k->buffer,
                             sums,
                             sums + k->sums,
                             (int64_t *)(void *)(sums + k->sums + k->folds)};
            if (run_block(&b)) k->failed = 1;
            ask_to_stop(k->stop, thread, done, done + R * F);
            done += R * F;
            if (k->failed || was_stopped(k->stop)) return;
        }
    }
}

/* 0, or -1 if memory ran out, or FL_STOPPED. */
static int run_chain(const fl_chain *c, const fl_frames *p) {
    chain_call k = {.k = c, .p = p};
    int64_t most = INT64_MAX / (c->N * p->F), all = min64(c->flops, most) * c->N * p->F;
    int threads = (int)min64(c->N, worth_threads(all, 1, 0, p->n_threads));
    stopping stop = stopping_of(p->stop, c->flops);
    plan_chain(&k, (c->N + threads - 1) / threads);
    k.stop = &stop;
    k.scratch = fl_alloc((size_t)(threads * k.scratch_size) * sizeof(real));
    if (!k.scratch) return -1;
    fl_run(threads, patience_for(all, 1, 0, threads), chain_body, &k);
    fl_free(k.scratch);
    if (was_stopped(&stop)) return FL_STOPPED;
    return k.failed ? -1 : 0;
}

#endif
