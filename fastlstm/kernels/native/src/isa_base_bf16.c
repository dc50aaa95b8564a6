/* What every processor has, bfloat16. */
#define FL_TABLE fl_kernels_base_bf16
#define FL_ISA "base"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#define FL_WORD 2
#include "kernels.inc.c"
