/* AVX-512 with products of bfloat16. */
#define FL_TARGET "avx512f,avx512cd,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16"
#define FL_TABLE fl_kernels_avx512bf16_bf16
#define FL_ISA "avx512bf16"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 64
#define FL_WORD 2
#define FL_BF16
#include "kernels.inc.c"
