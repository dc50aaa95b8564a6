/* Which kernels this build has and this processor, with its operating system, can run. */
#define _DEFAULT_SOURCE
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "fastlstm.h"

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

/* FL_HAVE_... come from the build: the instruction sets that its compiler could make. */
#define DECLARE(ISA)                                                                               \
    extern const fl_kernels fl_kernels_##ISA##_f32, fl_kernels_##ISA##_f64,                        \
        fl_kernels_##ISA##_bf16, fl_kernels_##ISA##_int8;
#define FULL(ISA) &fl_kernels_##ISA##_f32, &fl_kernels_##ISA##_f64
#define BUILT(ISA) {#ISA, FULL(ISA), &fl_kernels_##ISA##_bf16, &fl_kernels_##ISA##_int8}
#define MISSING(ISA) {#ISA, NULL, NULL, NULL, NULL}

DECLARE(base)
#define BASE BUILT(base)
#ifdef FL_HAVE_AVX512
DECLARE(avx512)
#define AVX512 BUILT(avx512)
#else
#define AVX512 MISSING(avx512)
#endif
#ifdef FL_HAVE_AVX2
DECLARE(avx2)
#define AVX2 BUILT(avx2)
#else
#define AVX2 MISSING(avx2)
#endif
#ifdef FL_HAVE_NEON
DECLARE(neon)
#define NEON BUILT(neon)
#else
#define NEON MISSING(neon)
#endif

/* Sets that add instructions for products of lower precision to those of another. */
#if defined(FL_HAVE_AVX2) && defined(FL_HAVE_AVXVNNI)
extern const fl_kernels fl_kernels_avxvnni_int8;
#define AVXVNNI {"avxvnni", FULL(avx2), &fl_kernels_avx2_bf16, &fl_kernels_avxvnni_int8}
#else
#define AVXVNNI MISSING(avxvnni)
#endif
#if defined(FL_HAVE_AVX512) && defined(FL_HAVE_AVX512VNNI)
extern const fl_kernels fl_kernels_avx512vnni_int8;
#define AVX512VNNI                                                                                 \
    {"avx512vnni", FULL(avx512), &fl_kernels_avx512_bf16, &fl_kernels_avx512vnni_int8}
#else
#define AVX512VNNI MISSING(avx512vnni)
#endif
#if defined(FL_HAVE_AVX512) && defined(FL_HAVE_AVX512VNNI) && defined(FL_HAVE_AVX512BF16)
extern const fl_kernels fl_kernels_avx512bf16_bf16;
#define AVX512BF16                                                                                 \
    {"avx512bf16", FULL(avx512), &fl_kernels_avx512bf16_bf16, &fl_kernels_avx512vnni_int8}
#else
#define AVX512BF16 MISSING(avx512bf16)
#endif

#if defined(FL_HAVE_AVX512) && defined(FL_HAVE_AMX)
extern const fl_kernels fl_kernels_amx_bf16, fl_kernels_amx_int8;
#define AMX {"amx", FULL(avx512), &fl_kernels_amx_bf16, &fl_kernels_amx_int8}
#else
#define AMX MISSING(amx)
#endif

#if defined(FL_HAVE_NEON) && defined(FL_HAVE_NEONDOTPROD)
extern const fl_kernels fl_kernels_neondotprod_int8;
#define NEONDOTPROD {"neondotprod", FULL(neon), &fl_kernels_neon_bf16, &fl_kernels_neondotprod_int8}
#else
#define NEONDOTPROD MISSING(neondotprod)
#endif
#if defined(FL_HAVE_NEON) && defined(FL_HAVE_NEONDOTPROD) && defined(FL_HAVE_NEONBF16)
extern const fl_kernels fl_kernels_neonbf16_bf16;
#define NEONBF16 {"neonbf16", FULL(neon), &fl_kernels_neonbf16_bf16, &fl_kernels_neondotprod_int8}
#else
#define NEONBF16 MISSING(neonbf16)
#endif

typedef struct {
    const char *isa;
    const fl_kernels *f32, *f64, *bf16, *int8;
} level;

/* best first */
static const level LEVELS[] = {AMX,  AVX512BF16, AVX512VNNI,  AVX512, AVXVNNI,
                               AVX2, NEONBF16,   NEONDOTPROD, NEON,   BASE};
enum { N_LEVELS = sizeof LEVELS / sizeof *LEVELS };

static _Atomic(const level *) in_use;

static const level *find(const char *isa) {
    for (int i = 0; i < N_LEVELS; i++)
        if (!strcmp(LEVELS[i].isa, isa)) return &LEVELS[i];
    return NULL;
}

const char *const *fl_isa_names(void) {
    static const char *const names[] = {"amx",     "avx512bf16", "avx512vnni", "avx512",
                                        "avxvnni", "avx2",       "neonbf16",   "neondotprod",
                                        "neon",    "base",       NULL};
    return names;
}

int fl_isa_built(const char *isa) {
    const level *l = find(isa);
    return l && l->f32;
}

#if defined(__x86_64__)
/* The operating system must save the registers too: XCR0 says which it does. */
static uint64_t saved_registers(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

/* Registers of tiles, with products of bfloat16 and of 8 bits. Linux saves them for a process that
 * has asked for it. */
static int tiles_supported(unsigned features, uint64_t saved) {
    const unsigned need = 1u << 22 | 1u << 24 | 1u << 25;
    const uint64_t tiles = 0x60000;
    if ((features & need) != need || (saved & tiles) != tiles) return 0;
#ifdef __linux__
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA);
#else
    return 0;
#endif
}

static int cpu_supports(const char *isa) {
    const uint64_t ymm = 0x6, zmm = 0xe6;
    const unsigned need = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
    unsigned a, b, c, d, b7, c7, d7;
    uint64_t saved = saved_registers();
    if (!strcmp(isa, "base")) return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_FMA) || !(c & bit_AVX)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) || !(b7 & bit_AVX2)) return 0;
    if (!strcmp(isa, "avx2")) return (saved & ymm) == ymm;
    unsigned a71 = 0, b71, c71, d71; /* of subleaf 1; zero where there is none */
    if (a) __get_cpuid_count(7, 1, &a71, &b71, &c71, &d71);
    if (!strcmp(isa, "avxvnni")) return (saved & ymm) == ymm && (a71 >> 4 & 1);
    if ((saved & zmm) != zmm || (b7 & need) != need) return 0;
    if (!strcmp(isa, "avx512")) return 1;
#ifdef FL_EMULATED /* see tiles.h */
    if (!strcmp(isa, "amx")) return 1;
#endif
    if (!(c7 >> 11 & 1)) return 0; /* products of 8 bits */
    if (!strcmp(isa, "avx512vnni")) return 1;
    if (!(a71 >> 5 & 1)) return 0; /* products of bfloat16 */
    return !strcmp(isa, "avx512bf16") || (!strcmp(isa, "amx") && tiles_supported(d7, saved));
}
#elif defined(__aarch64__)
/* What came after the first aarch64, as the operating system tells it. */
typedef struct {
    int dotprod, bf16;
} later;

#if defined(__linux__)
static later find_later(void) {
    return (later){getauxval(AT_HWCAP) >> 20 & 1, getauxval(AT_HWCAP2) >> 14 & 1};
}
#elif defined(__APPLE__)
static int has_feature(const char *name) {
    int value = 0;
    size_t size = sizeof value;
    return !sysctlbyname(name, &value, &size, NULL, 0) && value;
}
static later find_later(void) {
    return (later){has_feature("hw.optional.arm.FEAT_DotProd"),
                   has_feature("hw.optional.arm.FEAT_BF16")};
}
#else
static later find_later(void) { return (later){0, 0}; }
#endif

static int cpu_supports(const char *isa) {
    if (!strcmp(isa, "neon") || !strcmp(isa, "base")) return 1;
    later has = find_later();
    if (!strcmp(isa, "neondotprod")) return has.dotprod;
    return !strcmp(isa, "neonbf16") && has.dotprod && has.bf16;
}
#else
static int cpu_supports(const char *isa) { return !strcmp(isa, "base"); }
#endif

/* Whether the machine runs it. It is asked once: the monitor of a virtual machine answers for the
 * processor, which takes tens of microseconds. */
static int runs(const level *l) {
    static _Atomic signed char answers[N_LEVELS]; /* 1: yes, -1: no, 0: not asked yet */
    _Atomic signed char *answer = &answers[l - LEVELS];
    signed char known = atomic_load_explicit(answer, memory_order_relaxed);
    if (!known) {
        known = cpu_supports(l->isa) ? 1 : -1;
        atomic_store_explicit(answer, known, memory_order_relaxed);
    }
    return known > 0;
}

int fl_isa_supported(const char *isa) {
    const level *l = find(isa);
    return l && runs(l);
}

static const fl_kernels *kernels_of(const level *l, int itemsize, int precision) {
    if (!l) return NULL;
    if (itemsize == 8) return precision == FL_FULL ? l->f64 : NULL;
    return precision == FL_BFLOAT16 ? l->bf16 : precision == FL_INT8 ? l->int8 : l->f32;
}

const fl_kernels *fl_get_kernels(const char *isa, int itemsize, int precision) {
    return fl_isa_supported(isa) ? kernels_of(find(isa), itemsize, precision) : NULL;
}

/* The tables are constants: a reader needs no more of the others' memory than which one it is. */
static const level *used(void) { return atomic_load_explicit(&in_use, memory_order_relaxed); }

int fl_use(const char *isa) {
    const level *l = find(isa);
    if (!l || !l->f32 || !runs(l)) return 0;
    atomic_store_explicit(&in_use, l, memory_order_relaxed);
    return 1;
}

const char *fl_isa_in_use(void) { return used() ? used()->isa : ""; }

const fl_kernels *fl_kernels_in_use(int itemsize, int precision) {
    return kernels_of(used(), itemsize, precision);
}
