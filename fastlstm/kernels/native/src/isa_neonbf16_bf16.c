/* NEON with products of bfloat16. */
#define FL_TARGET "arch=armv8.2-a+bf16"
#define FL_TABLE fl_kernels_neonbf16_bf16
#define FL_ISA "neonbf16"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#define FL_WORD 2
#define FL_BF16
#include "kernels.inc.c"
