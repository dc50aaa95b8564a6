/* How many multiply-adds one core makes in a second where all operands are registers: a line of
 * JSON, a figure in billions for each kind of product that the processor has.
 *
 * Time is that of the processor and not of the clock, so a busy machine does not show; of several
 * tries the best counts. Fourteen sums hide the latency of every instruction used here. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 20 };
static const char *separator = "{";

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void tell(const char *name, void (*run)(int64_t), int64_t rounds, double products) {
    double best = 1e9;
    run(rounds / 10);
    for (int i = 0; i < TRIES; i++) {
        double began = seconds();
        run(rounds);
        double took = seconds() - began;
        if (took < best) best = took;
    }
    printf("%s\"%s\": %.4g", separator, name, (double)rounds * products / best * 1e-9);
    separator = ", ";
}

#ifdef __x86_64__
#define EACH(X, R)                                                                                 \
    X(R, 0)                                                                                        \
    X(R, 1)                                                                                        \
    X(R, 2)                                                                                        \
    X(R, 3) X(R, 4) X(R, 5) X(R, 6) X(R, 7) X(R, 8) X(R, 9) X(R, 10) X(R, 11) X(R, 12) X(R, 13)
#define ZERO(R, I) "vpxor %%xmm" #I ", %%xmm" #I ", %%xmm" #I "\n"
#define LOOP(NAME, OPERATION, R)                                                                   \
    static void NAME(int64_t n) {                                                                  \
        __asm__ volatile(EACH(ZERO, R) ZERO(R, 14) ZERO(R, 15) "1:\n" EACH(                        \
                             OPERATION, R) "dec %0\n jnz 1b\n vzeroupper\n"                        \
                         : "+r"(n)                                                                 \
                         :                                                                         \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",   \
                           "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");  \
    }
#define FMA(R, I) "vfmadd231ps %%" R "14, %%" R "15, %%" R #I "\n"
#define DOT_BF16(R, I) "vdpbf16ps %%" R "14, %%" R "15, %%" R #I "\n"
#define DOT_INT8(R, I) "vpdpbusd %%" R "14, %%" R "15, %%" R #I "\n"
#define DOT_INT8_VEX(R, I) "%{vex%} vpdpbusd %%" R "14, %%" R "15, %%" R #I "\n"
LOOP(fma_avx2, FMA, "ymm")
LOOP(fma_avx512, FMA, "zmm")
LOOP(bf16_avx512, DOT_BF16, "zmm")
LOOP(int8_avx512, DOT_INT8, "zmm")
LOOP(int8_avxvnni, DOT_INT8_VEX, "ymm")

#define TILES(NAME, OPERATION)                                                                     \
    static void NAME(int64_t n) {                                                                  \
        __asm__ volatile(                                                                          \
            "1:\n" OPERATION " %%tmm6, %%tmm7, %%tmm0\n" OPERATION                                 \
            " %%tmm6, %%tmm7, %%tmm1\n" OPERATION " %%tmm6, %%tmm7, %%tmm2\n" OPERATION            \
            " %%tmm6, %%tmm7, %%tmm3\n" OPERATION " %%tmm6, %%tmm7, %%tmm4\n" OPERATION            \
            " %%tmm6, %%tmm7, %%tmm5\n dec %0\n jnz 1b\n"                                          \
            : "+r"(n)                                                                              \
            :                                                                                      \
            : "cc");                                                                               \
    }
TILES(bf16_tiles, "tdpbf16ps")
TILES(int8_tiles, "tdpbusd")

/* Leaf 7 of cpuid; the operating system gives tiles to those who ask for them. */
static unsigned cpuid7(unsigned leaf, int reg) {
    unsigned a = 7, b, c = leaf, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return reg == 'a' ? a : d;
}

static int may_use_tiles(void) {
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    if (!(cpuid7(0, 'd') >> 24 & 1) || syscall(SYS_arch_prctl, REQUEST, TILE_DATA)) return 0;
    uint8_t shape[64] = {1}; /* eight tiles of 16 rows of 64 bytes */
    for (int i = 0; i < 8; i++) shape[16 + 2 * i] = 64, shape[48 + i] = 16;
    __asm__ volatile("ldtilecfg %0" : : "m"(shape));
    __asm__ volatile("tilezero %tmm0\n tilezero %tmm1\n tilezero %tmm2\n tilezero %tmm3\n"
                     "tilezero %tmm4\n tilezero %tmm5\n tilezero %tmm6\n tilezero %tmm7\n");
    return 1;
}

static void tell_all(void) {
    enum { MANY = 300000, FEW = 30000 };
    int wide = __builtin_cpu_supports("avx512f");
    if (wide)
        tell("float32", fma_avx512, MANY, 14 * 16);
    else if (__builtin_cpu_supports("fma"))
        tell("float32", fma_avx2, MANY, 14 * 8);
    if (wide && cpuid7(1, 'a') >> 5 & 1) tell("bfloat16", bf16_avx512, MANY, 14 * 32);
    if (wide && __builtin_cpu_supports("avx512vnni"))
        tell("int8", int8_avx512, MANY, 14 * 64);
    else if (cpuid7(1, 'a') >> 4 & 1)
        tell("int8", int8_avxvnni, MANY, 14 * 32);
    if (!may_use_tiles()) return;
    if (cpuid7(0, 'd') >> 22 & 1) tell("bfloat16 tiles", bf16_tiles, FEW, 6 * 16 * 16 * 32);
    if (cpuid7(0, 'd') >> 25 & 1) tell("int8 tiles", int8_tiles, FEW, 6 * 16 * 16 * 64);
    __asm__ volatile("tilerelease");
}
#else
static void tell_all(void) { (void)tell; }
#endif

int main(void) {
    tell_all();
    printf("%s}\n", *separator == '{' ? "{" : "");
    return 0;
}
