/* Linear-chain conditional random fields, in the instruction set that every machine has and in
 * double: a step takes far less than that of the layers below.
 *
 *     N rows          T steps          K labels
 */
#ifndef FL_CRF_H
#define FL_CRF_H

#include <stdint.h>

typedef struct fl_crf {
    int64_t N, T, K;
    const double *x;       /* [N,T,K] scores of the labels at each step                      */
    const int64_t *length; /* [N]                                                            */
    const double *start;   /* [K]                                                            */
    const double *between; /* [K,K], from the row's label to the column's                    */
    const double *end;     /* [K]                                                            */
    int64_t *label;        /* [N,T]: read by fl_crf_loss up to each length, written by
                              fl_viterbi, which leaves the rest                              */
    double *loss;          /* [N]; of fl_viterbi the score of the path                       */
    double *dx;            /* [N,T,K] zeros, for the gradient of the sum of losses; or NULL  */
    double *dstart;        /* [K], [K,K], [K]: zeros, the same; read with dx                 */
    double *dbetween;
    double *dend;
    int n_threads;
} fl_crf;

/* 0, or -1 if memory ran out. */
int fl_crf_loss(const fl_crf *p);
int fl_viterbi(const fl_crf *p);

#endif
