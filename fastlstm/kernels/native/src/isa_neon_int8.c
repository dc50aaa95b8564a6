/* NEON, part of every aarch64, 8 bits. */
#define FL_TABLE fl_kernels_neon_int8
#define FL_ISA "neon"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#define FL_WORD 4
#include "kernels.inc.c"
