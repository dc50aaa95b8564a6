/* Denormals are flushed to zero while a kernel runs: vanishing gradients would otherwise cost
 * up to a hundred times the time. The state is per thread and is put back. */
#include "fastlstm.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#define FLUSH 0x8040u /* FTZ, DAZ */
uint64_t fl_float_state(void) { return _mm_getcsr(); }
void fl_restore_denormals(uint64_t state) { _mm_setcsr((unsigned)state); }
#elif defined(__aarch64__)
#define FLUSH (1u << 24) /* FPCR.FZ */
uint64_t fl_float_state(void) {
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    return state;
}
void fl_restore_denormals(uint64_t state) { __asm__ volatile("msr fpcr, %0" : : "r"(state)); }
#else
#define FLUSH 0
uint64_t fl_float_state(void) { return 0; }
void fl_restore_denormals(uint64_t state) { (void)state; }
#endif

uint64_t fl_flush_denormals(void) {
    uint64_t state = fl_float_state();
    fl_restore_denormals(state | FLUSH);
    return state;
}
