// Decode attention over encoded blocks of 64 rows, all query rows of a KV head in tiles of four.
//
// Scales never enter the inner loops: those of keys are a channel's and go into the query, those of values are a
// row's and go into the probabilities. What is left is whole numbers, 16 bit against 8 or 4, summed in 32 bits:
// 32767 * 127 * 256 stays below 2^31.
#include <cstring>

#include "int4.h"
#include "int8.h"

namespace ctxeng {

struct Shape {
    int64_t kv_heads, rows, blocks, dk, dv;
    const int64_t *ids, *fill;  // [kv_heads][blocks]
};

template <int H, class Codec>
static void tile(const Codec& codec, const Shape& s, int64_t kv, const float* q, float scale, float* o, float* lse) {
    alignas(32) Work w;
    std::memset(w.out, 0, sizeof(float) * H * s.dv);
    for (int64_t b = 0; b < s.blocks; b++)
        if (const int live = static_cast<int>(s.fill[kv * s.blocks + b]); live > 0)
            codec.template block<H>(w, q, s.ids[kv * s.blocks + b], live, s.dk, s.dv, scale);
    for (int h = 0; h < H; h++) {
        const Sums& found = w.sums[h];
        const float share = found.total > 0 ? 1.0f / found.total : 0.0f;
        for (int64_t c = 0; c < s.dv; c++) o[h * s.dv + c] = w.out[h * s.dv + c] * share;
        lse[h] = found.top + std::log(found.total);  // -inf where nothing was seen
    }
}

template <class Codec>
static void attend(const Codec& codec, const Shape& s, const float* q, float scale, float* o, float* lse) {
    for (int64_t kv = 0; kv < s.kv_heads; kv++)
        for (int64_t first = 0; first < s.rows; first += HEADS) {
            const int64_t row = kv * s.rows + first, left = s.rows - first;
            const auto run = left >= 4   ? tile<4, Codec>
                             : left == 3 ? tile<3, Codec>
                             : left == 2 ? tile<2, Codec>
                                         : tile<1, Codec>;
            run(codec, s, kv, q + row * s.dk, scale, o + row * s.dv, lse + row);
        }
}

}  // namespace ctxeng

extern "C" {

// Whether this processor has what the rest was compiled for.
int ctxeng_runs_here() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"); }

// q [kv_heads][rows][dk], arrays as the codec's fields, ids and fill [kv_heads][blocks] -> o [kv_heads][rows][dv],
// lse [kv_heads][rows]; dk and dv are multiples of 16 (int4: 32), at most 256.
void ctxeng_attend(int bits, const void* const* arrays, const int64_t* ids, const int64_t* fill, const float* q,
                   int64_t kv_heads, int64_t rows, int64_t blocks, int64_t dk, int64_t dv, float scale, float* o,
                   float* lse) {
    using namespace ctxeng;
    const Shape shape{kv_heads, rows, blocks, dk, dv, ids, fill};
    const auto half = [&](int i) { return static_cast<const uint16_t*>(arrays[i]); };
    if (bits == 8) {
        attend(Int8{static_cast<const int8_t*>(arrays[0]), half(1), static_cast<const int8_t*>(arrays[2]), half(3)},
               shape, q, scale, o, lse);
    } else {
        attend(Int4{static_cast<const uint8_t*>(arrays[0]), half(1), half(2), static_cast<const uint8_t*>(arrays[3]),
                    half(4), half(5)},
               shape, q, scale, o, lse);
    }
}
}
