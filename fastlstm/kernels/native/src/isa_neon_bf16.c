/* NEON, part of every aarch64, bfloat16. */
#define FL_TABLE fl_kernels_neon_bf16
#define FL_ISA "neon"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#define FL_WORD 2
#include "kernels.inc.c"
