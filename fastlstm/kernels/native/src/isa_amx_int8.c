/* AVX-512 with products of 8 bits in tile registers. */
#define FL_TARGET                                                                                  \
    "avx512f,avx512cd,avx512vl,avx512bw,avx512dq,avx2,fma,avx512vnni,amx-tile,amx-int8"
#define FL_TABLE fl_kernels_amx_int8
#define FL_ISA "amx"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 64
#define FL_WORD 4
#define FL_AMX
#ifndef FL_EMULATED
#define FL_VNNI "vpdpbusd"
#endif
#include "kernels.inc.c"
