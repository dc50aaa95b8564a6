/* NEON with products of 8 bits. */
#define FL_TARGET "arch=armv8.2-a+dotprod"
#define FL_TABLE fl_kernels_neondotprod_int8
#define FL_ISA "neondotprod"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#define FL_WORD 4
#define FL_DOTPROD
#include "kernels.inc.c"
