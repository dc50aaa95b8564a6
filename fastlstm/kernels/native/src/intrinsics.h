/* The intrinsics of x86-64. Those that not all of a file may use, clang-cl's immintrin.h leaves
 * out. */
#ifndef FL_INTRINSICS_H
#define FL_INTRINSICS_H

#include <immintrin.h>

#if defined(__clang__) && defined(_MSC_VER)
/* clang-format off: each needs those before it */
#include <smmintrin.h>
#include <avxintrin.h>
#include <avx2intrin.h>
#include <fmaintrin.h>
#include <avx512fintrin.h>
#include <avx512vlintrin.h>
#include <avx512bwintrin.h>
#include <avx512dqintrin.h>
#include <avx512vlbwintrin.h>
#include <avx512vldqintrin.h>
#include <avx512vnniintrin.h>
#include <avxvnniintrin.h>
#include <avx512bf16intrin.h>
#include <amxintrin.h>
/* clang-format on */
#endif

#endif
