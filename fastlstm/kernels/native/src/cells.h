/* All cells: a new one is added here, and nowhere else in C. */
#ifndef FL_CELLS_H
#define FL_CELLS_H

#include "gru.h"
#include "gru_reset_before.h"
#include "lstm.h"
#include "peephole_lstm.h"
#include "rnn.h"

/* In the order of their numbers, by which Python asks for their names. */
#define FL_CELLS(OF)                                                                               \
    OF(LSTM), OF(GRU), OF(GRU_RESET_BEFORE), OF(RNN_TANH), OF(RNN_RELU), OF(PEEPHOLE_LSTM)

#define FL_USUAL(CELL) &CELL
static const cell *const CELLS[] = {FL_CELLS(FL_USUAL)};

/* The same with other activations than tanh and sigmoid. */
#if FL_WORD == 1
#define FL_OTHER(CELL) &CELL##_OTHERS
static const cell *const OTHERS[] = {FL_CELLS(FL_OTHER)};
#endif

#endif
