/* AVX-512 (x86-64-v4), 8 bits. */
#define FL_TARGET "avx512f,avx512cd,avx512vl,avx512bw,avx512dq,avx2,fma"
#define FL_TABLE fl_kernels_avx512_int8
#define FL_ISA "avx512"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 64
#define FL_WORD 4
#include "kernels.inc.c"
