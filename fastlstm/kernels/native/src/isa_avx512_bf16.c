/* AVX-512 (x86-64-v4), bfloat16. */
#define FL_TARGET "avx512f,avx512cd,avx512vl,avx512bw,avx512dq,avx2,fma"
#define FL_TABLE fl_kernels_avx512_bf16
#define FL_ISA "avx512"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 64
#define FL_WORD 2
#include "kernels.inc.c"
