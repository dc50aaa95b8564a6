/* AVX-512 with products of 8 bits. */
#define FL_TARGET "avx512f,avx512cd,avx512vl,avx512bw,avx512dq,avx2,fma,avx512vnni"
#define FL_TABLE fl_kernels_avx512vnni_int8
#define FL_ISA "avx512vnni"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 64
#define FL_WORD 4
#define FL_VNNI "vpdpbusd"
#include "kernels.inc.c"
