// The running softmax of a tile of heads, and the 16 bit forms of queries and probabilities.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "simd.h"

namespace ctxeng {

constexpr int BLOCK = 64, HEADS = 4, WIDEST = 256, GROUP = 32, GROUPS = WIDEST / GROUP;
constexpr float FULL = 32767.0f, LEAST = 1e-30f;

struct Sums {  // of one head, over the blocks so far
    float top = -std::numeric_limits<float>::infinity(), total = 0.0f;
};

struct Work {  // of one tile of heads
    alignas(32) int16_t q[HEADS * WIDEST];             // [head][channel]
    alignas(32) int32_t raw[BLOCK * HEADS];            // [row][head]: logits in whole numbers
    alignas(32) float p[HEADS * BLOCK];                // [head][row]: probabilities, the largest being 1
    alignas(32) int16_t pairs[HEADS * GROUPS * BLOCK];  // [head][group][row]: probabilities times scales
    alignas(32) float out[HEADS * WIDEST];             // [head][channel]
    Sums sums[HEADS];
};

// n numbers below `top` -> 16 bit in steps of top / FULL; their sum in whole numbers
inline f32x8 whole(const float* from, int n, float top, int16_t* to) {
    const f32x8 up = all(FULL / top);
    i32x8 sum = zeros();
    for (int i = 0; i < n; i += 16) {
        const i32x8 a = rounded(load(from + i) * up), b = rounded(load(from + i + 8) * up);
        sum = add(sum, add(a, b));
        store(to + i, narrowed(a, b));
    }
    return floats(sum);
}

// Logits, step * raw + shift each, become probabilities. What was summed before is scaled down where a larger
// logit came. Rows from `rows` on are no rows.
inline void softmax(Work& w, int heads, int d, int rows, const float* steps, const float* shifts, float scale) {
    for (int h = 0; h < heads; h++) {
        float* p = w.p + h * BLOCK;
        const f32x8 by = all(steps[h] * scale), more = all(shifts[h] * scale);
        for (int t = 0; t < BLOCK; t++) p[t] = static_cast<float>(w.raw[t * HEADS + h]);
        for (int t = 0; t < BLOCK; t += 8) store(p + t, fma(load(p + t), by, more));
        for (int t = rows; t < BLOCK; t++) p[t] = -std::numeric_limits<float>::infinity();
        f32x8 most = load(p);
        for (int t = 8; t < BLOCK; t += 8) most = larger(most, load(p + t));
        Sums& s = w.sums[h];
        if (const float top = largest(most); top > s.top) {
            const float down = std::exp(s.top - top);
            s.total *= down;
            for (int c = 0; c < d; c += 8) store(w.out + h * d + c, load(w.out + h * d + c) * all(down));
            s.top = top;
        }
        f32x8 total = all(0.0f);
        for (int t = 0; t < BLOCK; t += 8) {
            const f32x8 x = exponential(load(p + t) - all(s.top));
            store(p + t, x);
            total = total + x;
        }
        s.total += sum(total);
    }
}

}  // namespace ctxeng
