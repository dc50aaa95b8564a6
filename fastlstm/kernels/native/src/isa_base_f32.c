/* What every processor has, float. */
#define FL_TABLE fl_kernels_base_f32
#define FL_ISA "base"
#define FL_REAL float
#define FL_F64 0
#define FL_BYTES 16
#include "kernels.inc.c"
