// Blocks of int8: keys with a scale a channel, values with a scale a row.
#pragma once
#include "softmax.h"

namespace ctxeng {

struct Int8 {
    const int8_t* k;
    const uint16_t* k_scale;
    const int8_t* v;
    const uint16_t* v_scale;

    template <int H>
    void block(Work& w, const float* q, int64_t id, int rows, int dk, int dv, float scale) const {
        float steps[HEADS];
        const float nought[HEADS] = {};
        for (int h = 0; h < H; h++) steps[h] = queries(q + h * dk, k_scale + id * dk, dk, w.q + h * dk);
        const int8_t* values = v + id * BLOCK * dv;
        scores<H>(k + id * BLOCK * dk, dk, w, reinterpret_cast<const char*>(values), BLOCK * dv);
        softmax(w, H, dv, rows, steps, nought, scale);
        for (int h = 0; h < H; h++)
            steps[h] = weights(w.p + h * BLOCK, v_scale + id * BLOCK, rows, w.pairs + h * BLOCK);
        sums<H>(values, dv, w, steps);
    }

    // a query times the channels' scales, in 16 bit; what one of its steps stands for
    static float queries(const float* q, const uint16_t* scales, int d, int16_t* to) {
        alignas(32) float scaled[WIDEST];
        f32x8 most = all(LEAST);
        for (int c = 0; c < d; c += 8) {
            const f32x8 x = loadu(q + c) * halves(scales + c);
            store(scaled + c, x);
            most = larger(most, absolute(x));
        }
        whole(scaled, d, largest(most), to);
        return largest(most) / FULL;
    }

    // probabilities times the rows' scales, in 16 bit; what one of their steps stands for
    static float weights(const float* p, const uint16_t* scales, int rows, int16_t* to) {
        alignas(32) float scaled[BLOCK];
        for (int t = 0; t < BLOCK; t += 8) store(scaled + t, load(p + t) * halves(scales + t));
        for (int t = rows; t < BLOCK; t++) scaled[t] = 0.0f;  // what lies there may be anything
        f32x8 most = all(LEAST);
        for (int t = 0; t < BLOCK; t += 8) most = larger(most, load(scaled + t));
        whole(scaled, BLOCK, largest(most), to);
        return largest(most) / FULL;
    }

    // two rows at a time, so that each part of a query is read once for both; values are fetched ahead
    template <int H>
    static void scores(const int8_t* k, int d, Work& w, const char* ahead, int bytes_ahead) {
        const int stride = bytes_ahead / (BLOCK / 2);
        for (int t = 0; t < BLOCK; t += 2) {
            for (int i = 0; i < stride; i += 64) _mm_prefetch(ahead + t / 2 * stride + i, _MM_HINT_T0);
            i32x8 one[HEADS] = {}, two[HEADS] = {};
            const int8_t* row = k + t * d;
            for (int c = 0; c < d; c += 16) {
                const i32x8 x = widened(bytes(row + c)), y = widened(bytes(row + d + c));
#pragma GCC unroll 4
                for (int h = 0; h < H; h++) {
                    const i32x8 q = shorts(w.q + h * d + c);
                    one[h] = dot(one[h], x, q);
                    two[h] = dot(two[h], y, q);
                }
            }
            store(w.raw + t * HEADS, four_sums(one));
            store(w.raw + (t + 1) * HEADS, four_sums(two));
        }
    }

    // sixteen channels at a time, two rows in one product
    template <int H>
    static void sums(const int8_t* v, int d, Work& w, const float* steps) {
        for (int c = 0; c < d; c += 16) {
            i32x8 low[HEADS] = {}, high[HEADS] = {};
            for (int t = 0; t < BLOCK; t += 2) {
                const __m128i a = bytes(v + t * d + c), b = bytes(v + (t + 1) * d + c);
                const i32x8 x = widened(_mm_unpacklo_epi8(a, b)), y = widened(_mm_unpackhi_epi8(a, b));
#pragma GCC unroll 4
                for (int h = 0; h < H; h++) {
                    const i32x8 p = twice(w.pairs + h * BLOCK + t);
                    low[h] = dot(low[h], x, p);
                    high[h] = dot(high[h], y, p);
                }
            }
            for (int h = 0; h < H; h++) {
                float* o = w.out + h * d + c;
                store(o, fma(floats(low[h]), all(steps[h]), load(o)));
                store(o + 8, fma(floats(high[h]), all(steps[h]), load(o + 8)));
            }
        }
    }
};

}  // namespace ctxeng
