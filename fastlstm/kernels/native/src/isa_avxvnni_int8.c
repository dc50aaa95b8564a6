/* AVX2 with products of 8 bits (AVX-VNNI). */
#define FL_TARGET "avx2,fma,avxvnni"
#define FL_TABLE fl_kernels_avxvnni_int8
#define FL_ISA "avxvnni"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 32
#define FL_WORD 4
#define FL_VNNI "%{vex%} vpdpbusd"
#include "kernels.inc.c"
