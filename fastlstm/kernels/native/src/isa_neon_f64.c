/* NEON, part of every aarch64, double. */
#define FL_TABLE fl_kernels_neon_f64
#define FL_ISA "neon"
#define FL_REAL double
#define FL_F64 1
#define FL_BYTES 16
#include "kernels.inc.c"
