// Blocks as they are: single, bfloat16 or half precision, summed in single.
#pragma once
#include "softmax.h"

namespace ctxeng {

template <class Number>
struct Dense {
    const Number *k, *v;
    static constexpr int ROWS = 8;  // walked side by side: that many streams of memory

    template <int H>
    void score(Work& w, const float* q, int64_t id, int live, int dk, int dv, float scale) const {
        alignas(32) float raw[BLOCK * HEADS] = {};  // [row][head]
        const Number* row = k + id * BLOCK * dk;
        const char* ahead = reinterpret_cast<const char*>(v + id * BLOCK * dv);
        const int bytes_ahead = 2 * dv * static_cast<int>(sizeof(Number));
        for (int t = 0; t < live; t += 2, row += 2 * dk) {
            for (int i = 0; i < bytes_ahead; i += 64) _mm_prefetch(ahead + t / 2 * bytes_ahead + i, _MM_HINT_T1);
            f32x8 one[HEADS] = {}, two[HEADS] = {};
            const Number* second = t + 1 < live ? row + dk : row;
            for (int c = 0; c < dk; c += 8) {
                const f32x8 x = eight(row + c), y = eight(second + c);
#pragma GCC unroll 4
                for (int h = 0; h < H; h++) {
                    const f32x8 part = loadu(q + h * dk + c);
                    one[h] = fma(x, part, one[h]);
                    two[h] = fma(y, part, two[h]);
                }
            }
            store(raw + t * HEADS, four_sums(one));
            store(raw + (t + 1) * HEADS, four_sums(two));
        }
        for (int t = 0; t < BLOCK; t += 8) {
            f32x8 x[HEADS];
            turned(raw + t * HEADS, x);
            for (int h = 0; h < HEADS; h++) store(w.p + h * BLOCK + t, x[h] * all(scale));
        }
    }

    template <int H>
    void gather(Work& w, int64_t id, int live, int, int dv, int64_t) const {
        const Number* rows = v + id * BLOCK * dv;
        for (int t = 0; t < live; t += ROWS)
            for (int c = 0; c < dv; c += 16) panel<H>(rows + t * dv + c, std::min(ROWS, live - t), dv, w, t, c);
    }

    template <int H>
    static void panel(const Number* v, int rows, int d, Work& w, int t, int c) {
        f32x8 low[H], high[H];
#pragma GCC unroll 4
        for (int h = 0; h < H; h++) {
            low[h] = load(w.out + h * d + c);
            high[h] = load(w.out + h * d + c + 8);
        }
        for (int r = 0; r < rows; r++) {
            const f32x8 x = eight(v + r * d), y = eight(v + r * d + 8);
#pragma GCC unroll 4
            for (int h = 0; h < H; h++) {
                const f32x8 p = everywhere(w.p + h * BLOCK + t + r);
                low[h] = fma(x, p, low[h]);
                high[h] = fma(y, p, high[h]);
            }
        }
#pragma GCC unroll 4
        for (int h = 0; h < H; h++) {
            store(w.out + h * d + c, low[h]);
            store(w.out + h * d + c + 8, high[h]);
        }
    }
};

}  // namespace ctxeng
