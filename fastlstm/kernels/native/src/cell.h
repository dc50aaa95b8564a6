/* What a cell is to the engine: a row of sizes and functions. */
#ifndef FL_CELL_H
#define FL_CELL_H

#include "rows.h"

#if FL_BACKWARD
#define FL_ONLY_BACKWARD(...) __VA_ARGS__
#else
#define FL_ONLY_BACKWARD(...)
#endif

typedef struct call call;
typedef struct step_rows step_rows;

/* The engine is shared by all cells; the products are inlined into the steps. */
typedef struct {
    const char *name;
    int gates; /* G, rows of the weights for each unit */
    int panel; /* vectors of a panel of gate products: G, or those of 4 blocks where G is 1 */
    int c;     /* has a cell state beside h */
    int split; /* the recurrent product has a bias and a sum of its own, as it meets a gate first */
    int late;  /* gates, the last ones, whose recurrent weight meets something made of h first: a
                * second product in each step */
    int params;     /* parameters of its own for each unit: call.params */
    int extra;      /* keeps one more vector for each unit */
    int c_gate;     /* 1 + the gate in whose place the cells are kept; 0: they have their own */
    int extra_gate; /* 1 + the gate in whose place forward keeps extra; 0: it has its own */
    int unbounded;  /* h may be of any size, though no state was given that is */
    int work;       /* vectors for each unit and row that a step backward works in */

    void (*step)(const call *k, const share *w, step_rows *rows, int64_t step);
    void (*step_backward)(const call *k, const share *w, step_rows *rows, int64_t step,
                          fl_team *team);
    /* Adds to sums [Hp/VL][params][VL], blocks j0..j1-1, the gradients of the parameters from a row
     * whose gate gradients are complete. */
    void (*params_backward)(const call *k, int64_t row, int64_t step, int64_t j0, int64_t j1,
                            real *sums);
    /* The gates of block j of a row at a step, from what was kept. */
    void (*inside)(const call *k, int64_t row, int64_t step, int64_t j, vreal *gates);
} cell;

#endif
