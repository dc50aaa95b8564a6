/* AVX2 and FMA (x86-64-v3), 8 bits. */
#define FL_TARGET "avx2,fma"
#define FL_TABLE fl_kernels_avx2_int8
#define FL_ISA "avx2"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 32
#define FL_WORD 4
#include "kernels.inc.c"
