// Blocks of int8: keys with a scale a channel, values with a scale a row.
#pragma once
#include "softmax.h"

namespace ctxeng {

struct Int8 {
    const int8_t* k;  // [dk / 4][64][4]
    const uint16_t* k_scale;
    const int8_t* v;  // [16][dv][4]
    const uint16_t* v_scale;

    // w.p = the logits of H query rows; the block's values are fetched meanwhile
    template <int H>
    void score(Work& w, const float* q, int64_t id, int, int dk, int dv, float scale) const {
        alignas(32) float scales[WIDEST];
        for (int c = 0; c < dk; c += 8) store(scales + c, halves(k_scale + id * dk + c));
        float steps[HEADS];
        for (int h = 0; h < H; h++) steps[h] = scale * rounded_products(q + h * dk, scales, dk, w.q + h * dk);
        const int8_t *keys = k + id * BLOCK * dk, *values = v + id * BLOCK * dv;
        for (int t = 0; t < BLOCK; t += LANES) {
            fetch(values + t * dv, LANES * dv);
            i32x8 found[H];
            eight_lanes<H>(keys + 4 * t, 4 * BLOCK, dk / 4, w.q, dk, found);
            for (int h = 0; h < H; h++) store(w.p + h * BLOCK + t, floats(found[h]) * all(steps[h]));
        }
    }

    // w.out += the values, weighted by w.p; the keys of the next block are fetched meanwhile
    template <int H>
    void gather(Work& w, int64_t id, int live, int dk, int dv, int64_t next) const {
        alignas(32) float scales[BLOCK];
        for (int t = 0; t < BLOCK; t += 8) store(scales + t, halves(v_scale + id * BLOCK + t));
        for (int t = live; t < BLOCK; t++) scales[t] = 0.0f;  // what lies there may be anything
        float steps[HEADS];
        for (int h = 0; h < H; h++) steps[h] = rounded_products(w.p + h * BLOCK, scales, BLOCK, w.pairs + h * BLOCK);
        const int8_t *values = v + id * BLOCK * dv, *ahead = k + next * BLOCK * dk;
        const int share = BLOCK * dk / (dv / LANES);
        for (int c = 0; c < dv; c += LANES) {
            fetch(ahead + c / LANES * share, share);
            i32x8 found[H];
            eight_lanes<H>(values + 4 * c, 4 * dv, BLOCK / 4, w.pairs, BLOCK, found);
            for (int h = 0; h < H; h++) {
                float* o = w.out + h * dv + c;
                store(o, fma(floats(found[h]), all(steps[h]), load(o)));
            }
        }
    }

    // n numbers times scales, in 16 bit; what one of their steps stands for
    static float rounded_products(const float* from, const float* scales, int n, int16_t* to) {
        alignas(32) float scaled[WIDEST];
        f32x8 most = all(LEAST);
        for (int i = 0; i < n; i += 8) {
            const f32x8 x = loadu(from + i) * load(scales + i);
            store(scaled + i, x);
            most = larger_of_all(most, absolute(x));
        }
        const float top = largest_of_all(most);
        whole(scaled, n, FULL / top, to);
        return step_of(top);
    }
};

}  // namespace ctxeng
