// Blocks of int4: keys with a scale and a middle a channel, values with those a row and 32 channels.
// A number is (code - 7.5) * scale + middle; the lower half of the channels stands in the low bits.
#pragma once
#include "softmax.h"

namespace ctxeng {

struct Fours {  // the arrays, and the values' scales and middles of one block
    const uint8_t* k;
    const uint16_t *k_scale, *k_middle;
    const uint8_t* v;
    const uint16_t *v_scale, *v_middle;

    struct Block {
        alignas(32) float scales[GROUPS * BLOCK], middles[GROUPS * BLOCK];  // [group][row]
        alignas(32) float most[BLOCK];                                      // the largest scale of a row
        int groups;
    };

    void unpack(int64_t id, int live, int dv, Block& b) const {
        b.groups = (dv + GROUP - 1) / GROUP;
        by_group(v_scale + id * BLOCK * b.groups, b.groups, live, b.scales);
        by_group(v_middle + id * BLOCK * b.groups, b.groups, live, b.middles);
        for (int t = 0; t < BLOCK; t += 8) {
            f32x8 x = all(0.0f);
            for (int g = 0; g < b.groups; g++) x = larger_of_all(x, absolute(load(b.scales + g * BLOCK + t)));
            store(b.most + t, x);
        }
    }

    // half precision [row][group] -> single [group][row], nought behind the last row
    static void by_group(const uint16_t* from, int groups, int live, float* to) {
        alignas(32) float flat[BLOCK * GROUPS];
        for (int i = 0; i < BLOCK * groups; i += 8) store(flat + i, halves(from + i));
        if (groups == 4) {
            for (int t = 0; t < BLOCK; t += 8) {
                f32x8 x[4];
                turned(flat + t * 4, x);
                for (int g = 0; g < 4; g++) store(to + g * BLOCK + t, x[g]);
            }
        } else {
            for (int g = 0; g < groups; g++)
                for (int t = 0; t < BLOCK; t++) to[g * BLOCK + t] = flat[t * groups + g];
        }
        for (int g = 0; g < groups; g++)
            for (int t = live; t < BLOCK; t++) to[g * BLOCK + t] = 0.0f;
    }

    // a query times the channels' scales, and what the channels' middles add to each row; the largest product
    float scaled(const float* q, int64_t id, int d, float* to, float* shift) const {
        f32x8 most = all(LEAST), middle = all(0.0f);
        for (int c = 0; c < d; c += 8) {
            const f32x8 x = loadu(q + c), y = x * halves(k_scale + id * d + c);
            middle = fma(x, halves(k_middle + id * d + c), middle);
            store(to + c, y);
            most = larger_of_all(most, absolute(y));
        }
        *shift = sum(middle);
        return largest_of_all(most);
    }

    static float largest_weight(const float* p, const Block& b) {
        f32x8 most = all(LEAST);
        for (int t = 0; t < BLOCK; t += 8) most = larger_of_all(most, absolute(load(p + t) * load(b.most + t)));
        return largest_of_all(most);
    }
};

// Queries and weights in 16 bit.
struct Int4 : Fours {
    template <int H>
    void score(Work& w, const float* q, int64_t id, int, int dk, int dv, float scale) const {
        float steps[HEADS], shifts[HEADS];
        for (int h = 0; h < H; h++) {
            alignas(32) float y[WIDEST];
            const float top = scaled(q + h * dk, id, dk, y, shifts + h), step = step_of(top);
            shifts[h] = scale * (shifts[h] - 7.5f * step * sum(whole(y, dk, FULL / top, w.q + h * dk)));
            steps[h] = scale * step;
        }
        const uint8_t *keys = k + id * BLOCK * dk / 2, *values = v + id * BLOCK * dv / 2;
        for (int t = 0; t < BLOCK; t += LANES) {
            fetch(values + t * dv / 2, LANES * dv / 2);
            token_lanes<H>(w, keys + 4 * t, dk, t, steps, shifts);
        }
    }

    template <int H>
    void gather(Work& w, int64_t id, int live, int dk, int dv, int64_t next) const {
        Block b;
        unpack(id, live, dv, b);
        float steps[HEADS], shifts[HEADS * GROUPS];
        for (int h = 0; h < H; h++) {
            const float* p = w.p + h * BLOCK;
            const float top = largest_weight(p, b);
            steps[h] = step_of(top);
            for (int g = 0; g < b.groups; g++) {
                int16_t* to = w.pairs + (h * GROUPS + g) * BLOCK;
                shifts[h * GROUPS + g] = weights(p, b, g, FULL / top, steps[h], to);
            }
        }
        const uint8_t *values = v + id * BLOCK * dv / 2, *ahead = k + next * BLOCK * dk / 2;
        const int share = BLOCK * dk / dv * LANES;
        for (int c = 0; c < dv / 2; c += LANES) {
            fetch(ahead + c / LANES * share, share);
            channel_lanes<H>(w, values + 4 * c, dv, c, steps, shifts);
        }
    }

    // of one group: probabilities times scales in 16 bit; what the middles add to its channels
    static float weights(const float* p, const Block& b, int g, float up, float step, int16_t* to) {
        alignas(32) float y[BLOCK];
        f32x8 middle = all(0.0f);
        for (int t = 0; t < BLOCK; t += 8) {
            middle = fma(load(p + t), load(b.middles + g * BLOCK + t), middle);
            store(y + t, load(p + t) * load(b.scales + g * BLOCK + t));
        }
        return sum(middle) - 7.5f * step * sum(whole(y, BLOCK, up, to));
    }

    // the logits of eight tokens: both halves of the channels add to the same lanes
    template <int H>
    static void token_lanes(Work& w, const uint8_t* keys, int dk, int t, const float* steps, const float* shifts) {
        const int half = dk / 2;
        i32x8 first[H] = {}, second[H] = {};
        for (int i = 0; i < half / 4; i++, keys += 4 * BLOCK) {
            const i32x8 x = spread(bytes(keys)), y = spread(bytes(keys + 16));
            const i32x8 x0 = low_codes(x), x1 = high_codes(x), y0 = low_codes(y), y1 = high_codes(y);
#pragma GCC unroll 4
            for (int h = 0; h < H; h++) {
                const i32x8 low = four_shorts(w.q + h * dk + 4 * i), high = four_shorts(w.q + h * dk + half + 4 * i);
                first[h] = dot(dot(first[h], x0, low), x1, high);
                second[h] = dot(dot(second[h], y0, low), y1, high);
            }
        }
        for (int h = 0; h < H; h++)
            store(w.p + h * BLOCK + t, fma(floats(neighbours(first[h], second[h])), all(steps[h]), all(shifts[h])));
    }

    // eight channels of the lower half and eight of the upper
    template <int H>
    static void channel_lanes(Work& w, const uint8_t* values, int dv, int c, const float* steps, const float* shifts) {
        const int half = dv / 2, group = c / GROUP, other = (half + c) / GROUP;
        for (int part = 0; part < 2; part++) {  // sixteen sums at a time would not fit the registers
            const int16_t* by = w.pairs + (part ? other : group) * BLOCK;
            i32x8 first[H] = {}, second[H] = {};
            const uint8_t* from = values;
            for (int t = 0; t < BLOCK; t += 4, from += 4 * half) {
                const i32x8 a = spread(bytes(from)), b = spread(bytes(from + 16));
                const i32x8 x = part ? high_codes(a) : low_codes(a), y = part ? high_codes(b) : low_codes(b);
#pragma GCC unroll 4
                for (int h = 0; h < H; h++) {
                    const i32x8 p = four_shorts(by + h * GROUPS * BLOCK + t);
                    first[h] = dot(first[h], x, p);
                    second[h] = dot(second[h], y, p);
                }
            }
            for (int h = 0; h < H; h++)
                add_to(w.out + h * dv + part * half + c, neighbours(first[h], second[h]), steps[h],
                       shifts[h * GROUPS + (part ? other : group)]);
        }
    }

    static void add_to(float* o, i32x8 sum, float step, float shift) {
        store(o, fma(floats(sum), all(step), all(shift)) + load(o));
    }
};

}  // namespace ctxeng
