/* AVX2 and FMA (x86-64-v3), double. */
#define FL_TARGET "avx2,fma"
#define FL_TABLE fl_kernels_avx2_f64
#define FL_ISA "avx2"
#define FL_REAL double
#define FL_F64 1
#define FL_BYTES 32
#include "kernels.inc.c"
