/* What every processor has, double. */
#define FL_TABLE fl_kernels_base_f64
#define FL_ISA "base"
#define FL_REAL double
#define FL_F64 1
#define FL_BYTES 16
#include "kernels.inc.c"
