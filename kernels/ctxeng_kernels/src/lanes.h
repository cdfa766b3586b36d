// Sums over codes that lie in fours: the four numbers that are added up first stand behind one another, a lane's
// four beside the next lane's. Keys: a lane is a token, four channels; values: a lane is a channel, four tokens.
#pragma once
#include "simd.h"

namespace ctxeng {

constexpr int BLOCK = 64, HEADS = 4, WIDEST = 256, GROUP = 32, GROUPS = WIDEST / GROUP, LANES = 8;

// Eight lanes of `count` fours, `stride` bytes from four to four, times the 16 bit weights of H rows.
template <int H>
inline void eight_lanes(const int8_t* from, int stride, int count, const int16_t* weights, int row, i32x8* sums) {
    i32x8 first[H] = {}, second[H] = {};
    for (int i = 0; i < count; i++, from += stride) {
        const i32x8 x = widened(bytes(from)), y = widened(bytes(from + 16));
#pragma GCC unroll 4
        for (int h = 0; h < H; h++) {
            const i32x8 by = four_shorts(weights + h * row + 4 * i);
            first[h] = dot(first[h], x, by);
            second[h] = dot(second[h], y, by);
        }
    }
    for (int h = 0; h < H; h++) sums[h] = neighbours(first[h], second[h]);
}

// fetch so many bytes from there
inline void fetch(const void* from, int count) {
    for (int i = 0; i < count; i += 64) _mm_prefetch(static_cast<const char*>(from) + i, _MM_HINT_T0);
}

}  // namespace ctxeng
