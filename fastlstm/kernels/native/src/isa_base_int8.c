/* What every processor has, 8 bits. */
#define FL_TABLE fl_kernels_base_int8
#define FL_ISA "base"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#define FL_WORD 4
#include "kernels.inc.c"
