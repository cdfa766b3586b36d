// The running softmax of a tile of query rows over blocks of 64 keys, and the 16 bit forms of what is multiplied.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "lanes.h"

namespace ctxeng {

constexpr float FULL = 32767.0f, LEAST = 1e-30f, INFINITE = std::numeric_limits<float>::infinity();

struct Sums {  // of one query row, over the blocks so far; a total of NaN stays NaN
    float top = -INFINITE, total = 0.0f;
};

struct Sight {  // which of the block's rows each query row sees
    int from[HEADS], to[HEADS];
};

struct Work {  // of one tile of query rows, called heads
    alignas(32) int16_t q[HEADS * WIDEST];              // [head][channel]: queries times scales
    alignas(32) float p[HEADS * BLOCK];                 // [head][row]: logits, then probabilities below 1
    alignas(32) int16_t pairs[HEADS * GROUPS * BLOCK];  // [head][group][row]: probabilities times scales
    alignas(32) float out[HEADS * WIDEST];              // [head][channel]
    Sums sums[HEADS];
};

// n numbers -> 16 bit, `up` of their steps to one; their sum in whole numbers
inline f32x8 whole(const float* from, int n, float up, int16_t* to) {
    i32x8 sum = zeros();
    for (int i = 0; i < n; i += 16) {
        const i32x8 a = rounded(load(from + i) * all(up)), b = rounded(load(from + i + 8) * all(up));
        sum = add(sum, add(a, b));
        store(to + i, narrowed(a, b));
    }
    return floats(sum);
}

// what one step stands for when the largest number is `top`; NaN, which spoils all that follows, beyond that
inline float step_of(float top) { return top < INFINITE ? top / FULL : std::numeric_limits<float>::quiet_NaN(); }

// Logits become probabilities; what was summed before is scaled down where a larger logit came. A logit that is
// NaN or +inf makes the row's total NaN.
inline void softmax(Work& w, int heads, int d, const Sight& sight) {
    for (int h = 0; h < heads; h++) {
        float* p = w.p + h * BLOCK;
        Sums& s = w.sums[h];
        for (int t = 0; t < sight.from[h]; t++) p[t] = -INFINITE;
        for (int t = sight.to[h]; t < BLOCK; t++) p[t] = -INFINITE;
        f32x8 most = load(p), odd = unordered(most);
        for (int t = 8; t < BLOCK; t += 8) {
            most = larger(most, load(p + t));
            odd = either(odd, unordered(load(p + t)));
        }
        const float top = largest(most);
        if (any(odd) || top == INFINITE) s.total = std::numeric_limits<float>::quiet_NaN();
        if (!(top > -INFINITE && top < INFINITE)) {  // nothing to add
            for (int t = 0; t < BLOCK; t += 8) store(p + t, all(0.0f));
            continue;
        }
        if (top > s.top) {
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
