// Blocks of int4: keys with a scale and a middle a channel, values with those a row and 32 channels.
// A number is (code - 7.5) * scale + middle; the lower half of the channels stands in the low bits.
#pragma once
#include "softmax.h"

namespace ctxeng {

struct Int4 {
    const uint8_t* k;
    const uint16_t *k_scale, *k_middle;
    const uint8_t* v;
    const uint16_t *v_scale, *v_middle;

    template <int H>
    void block(Work& w, const float* q, int64_t id, int rows, int dk, int dv, float scale) const {
        const int groups = (dv + GROUP - 1) / GROUP;
        float steps[HEADS], shifts[HEADS], per[HEADS * GROUPS], more[HEADS * GROUPS];
        for (int h = 0; h < H; h++)
            steps[h] = queries(q + h * dk, k_scale + id * dk, k_middle + id * dk, dk, w.q + h * dk, shifts + h);
        scores<H>(k + id * BLOCK * dk / 2, dk, w);
        softmax(w, H, dv, rows, steps, shifts, scale);
        alignas(32) float scales[GROUPS * BLOCK], middles[GROUPS * BLOCK];
        by_group(v_scale + id * BLOCK * groups, groups, rows, scales);
        by_group(v_middle + id * BLOCK * groups, groups, rows, middles);
        for (int h = 0; h < H; h++)
            for (int g = 0; g < groups; g++) {
                const int at = h * groups + g;
                per[at] = weights(w.p + h * BLOCK, scales + g * BLOCK, middles + g * BLOCK, w.pairs + at * BLOCK,
                                  more + at);
            }
        sums<H>(v + id * BLOCK * dv / 2, dv, w, per, more);
    }

    // as for int8; `shift` is what the middles, of range and of codes, add to every row
    static float queries(const float* q, const uint16_t* scales, const uint16_t* middles, int d, int16_t* to,
                         float* shift) {
        alignas(32) float scaled[WIDEST];
        f32x8 most = all(LEAST), middle = all(0.0f);
        for (int c = 0; c < d; c += 8) {
            const f32x8 x = loadu(q + c), y = x * halves(scales + c);
            middle = fma(x, halves(middles + c), middle);
            store(scaled + c, y);
            most = larger(most, absolute(y));
        }
        const float top = largest(most), step = top / FULL;
        *shift = sum(middle) - 7.5f * step * sum(whole(scaled, d, top, to));
        return step;
    }

    // of one group: probabilities times scales in 16 bit; `shift` is what the middles add to its channels
    static float weights(const float* p, const float* scales, const float* middles, int16_t* to, float* shift) {
        alignas(32) float scaled[BLOCK];
        f32x8 most = all(LEAST), middle = all(0.0f);
        for (int t = 0; t < BLOCK; t += 8) {
            const f32x8 x = load(p + t), y = x * load(scales + t);
            middle = fma(x, load(middles + t), middle);
            store(scaled + t, y);
            most = larger(most, y);
        }
        const float top = largest(most), step = top / FULL;
        *shift = sum(middle) - 7.5f * step * sum(whole(scaled, BLOCK, top, to));
        return step;
    }

    // half precision [row][group] -> single [group][row], nought behind the last row
    static void by_group(const uint16_t* from, int groups, int rows, float* to) {
        alignas(32) float flat[BLOCK * GROUPS];
        for (int i = 0; i < BLOCK * groups; i += 8) store(flat + i, halves(from + i));
        if (groups == 4) {
            for (int t = 0; t < BLOCK; t += 4) {
                __m128 a = _mm_load_ps(flat + t * 4), b = _mm_load_ps(flat + t * 4 + 4);
                __m128 c = _mm_load_ps(flat + t * 4 + 8), d = _mm_load_ps(flat + t * 4 + 12);
                _MM_TRANSPOSE4_PS(a, b, c, d);
                _mm_store_ps(to + t, a);
                _mm_store_ps(to + BLOCK + t, b);
                _mm_store_ps(to + 2 * BLOCK + t, c);
                _mm_store_ps(to + 3 * BLOCK + t, d);
            }
        } else {
            for (int g = 0; g < groups; g++)
                for (int t = 0; t < BLOCK; t++) to[g * BLOCK + t] = flat[t * groups + g];
        }
        for (int g = 0; g < groups; g++)
            for (int t = rows; t < BLOCK; t++) to[g * BLOCK + t] = 0.0f;
    }

    template <int H>
    static void scores(const uint8_t* k, int d, Work& w) {
        const int half = d / 2;
        for (int t = 0; t < BLOCK; t += 2) {
            i32x8 one[HEADS] = {}, two[HEADS] = {};
            const uint8_t* row = k + t * half;
            for (int c = 0; c < half; c += 16) {
                const __m128i a = bytes(row + c), b = bytes(row + half + c);
#pragma GCC unroll 2
                for (int part = 0; part < 2; part++) {
                    const i32x8 x = widened(nibbles(a, part)), y = widened(nibbles(b, part));
#pragma GCC unroll 4
                    for (int h = 0; h < H; h++) {
                        const i32x8 q = shorts(w.q + h * d + part * half + c);
                        one[h] = dot(one[h], x, q);
                        two[h] = dot(two[h], y, q);
                    }
                }
            }
            store(w.raw + t * HEADS, four_sums(one));
            store(w.raw + (t + 1) * HEADS, four_sums(two));
        }
    }

    template <int H>
    static void sums(const uint8_t* v, int d, Work& w, const float* steps, const float* shifts) {
        const int half = d / 2, groups = (d + GROUP - 1) / GROUP;
        for (int c = 0; c < d; c += 16) {
            const bool high_bits = c >= half;
            const uint8_t* from = v + (high_bits ? c - half : c);
            const int group = c / GROUP;
            i32x8 low[HEADS] = {}, high[HEADS] = {};
            for (int t = 0; t < BLOCK; t += 2) {
                const __m128i a = nibbles(bytes(from + t * half), high_bits);
                const __m128i b = nibbles(bytes(from + (t + 1) * half), high_bits);
                const i32x8 x = widened(_mm_unpacklo_epi8(a, b)), y = widened(_mm_unpackhi_epi8(a, b));
#pragma GCC unroll 4
                for (int h = 0; h < H; h++) {
                    const i32x8 p = twice(w.pairs + (h * groups + group) * BLOCK + t);
                    low[h] = dot(low[h], x, p);
                    high[h] = dot(high[h], y, p);
                }
            }
            for (int h = 0; h < H; h++) {
                float* o = w.out + h * d + c;
                const f32x8 step = all(steps[h * groups + group]), shift = all(shifts[h * groups + group]);
                store(o, fma(floats(low[h]), step, shift) + load(o));
                store(o + 8, fma(floats(high[h]), step, shift) + load(o + 8));
            }
        }
    }
};

}  // namespace ctxeng
