/* NEON, part of every aarch64, float. */
#define FL_TABLE fl_kernels_neon_f32
#define FL_ISA "neon"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#include "kernels.inc.c"
