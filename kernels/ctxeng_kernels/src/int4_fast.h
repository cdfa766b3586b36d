// The same blocks with queries and weights in 8 bit, codes of values around nought: half the work, 1 to 3 % error.
// Weights have no sign, so that they use all 256 steps; centred codes keep their rounding from adding up.
#pragma once
#include "int4.h"

namespace ctxeng {

struct Int4Fast : Fours {
    static constexpr int ROWS = 32;  // summed in 16 bits: 8 * 2 * 255 * 8 stays below 2^15

    struct Bytes {
        alignas(32) int8_t q[HEADS * WIDEST + 32];
        alignas(32) uint8_t p[HEADS * GROUPS * BLOCK];
    };

    template <int H>
    void score(Work& w, const float* q, int64_t id, int, int dk, int dv, float scale) const {
        Bytes b;
        float steps[HEADS] = {}, shifts[HEADS] = {};
        for (int h = 0; h < H; h++) {
            alignas(32) float y[WIDEST];
            const float top = scaled(q + h * dk, id, dk, y, shifts + h), step = step_of(top) * (FULL / 127);
            i32x8 codes = zeros();
            for (int c = 0; c < dk; c += 8) {
                const i32x8 x = rounded(load(y + c) * all(127 / top));
                store_bytes(b.q + h * dk + c, x);
                codes = add(codes, x);
            }
            shifts[h] = scale * (shifts[h] - 7.5f * step * sum(floats(codes)));
            steps[h] = scale * step;
        }
        const uint8_t *keys = k + id * BLOCK * dk / 2, *values = v + id * BLOCK * dv / 2;
        for (int t = 0; t < BLOCK; t += LANES) {
            fetch(values + t * dv / 2, LANES * dv / 2);
            token_lanes<H>(w, keys + 4 * t, dk, t, b, steps, shifts);
        }
    }

    template <int H>
    void gather(Work& w, int64_t id, int live, int dk, int dv, int64_t next) const {
        Block block;
        unpack(id, live, dv, block);
        for (int i = 0; i < block.groups * BLOCK; i += 8)  // half a code, too: codes are taken around 8
            store(block.middles + i, fma(load(block.scales + i), all(0.5f), load(block.middles + i)));
        Bytes b;
        float steps[HEADS], shifts[HEADS * GROUPS];
        for (int h = 0; h < H; h++) {
            const float* p = w.p + h * BLOCK;
            const float top = largest_weight(p, block);
            steps[h] = step_of(top) * (FULL / 255);
            alignas(32) float large[BLOCK];
            for (int t = 0; t < BLOCK; t += 8) store(large + t, load(p + t) * all(255 / top));
            for (int g = 0; g < block.groups; g++)
                shifts[h * GROUPS + g] = weights(p, large, block, g, b.p + (h * GROUPS + g) * BLOCK);
        }
        const uint8_t *values = v + id * BLOCK * dv / 2, *ahead = k + next * BLOCK * dk / 2;
        const int share = BLOCK * dk / dv * LANES;
        for (int c = 0; c < dv / 2; c += LANES) {
            fetch(ahead + c / LANES * share, share);
            channel_lanes<H>(w, values + 4 * c, dv, c, b, steps, shifts);
        }
    }

    // of one group: enlarged probabilities times scales in 8 bit; what the middles add, exactly
    static float weights(const float* p, const float* large, const Block& b, int g, uint8_t* to) {
        f32x8 shift = all(0.0f);
        for (int t = 0; t < BLOCK; t += 32) {
            i32x8 x[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                const int at = t + 8 * i;
                shift = fma(load(p + at), load(b.middles + g * BLOCK + at), shift);
                x[i] = rounded(load(large + at) * load(b.scales + g * BLOCK + at));
            }
            store_bytes(to + t, x[0], x[1], x[2], x[3]);
        }
        return sum(shift);
    }

    // the logits of eight tokens; sixteen bits hold eight products
    template <int H>
    static void token_lanes(Work& w, const uint8_t* keys, int dk, int t, const Bytes& b, const float* steps,
                            const float* shifts) {
        const int half = dk / 2;
        i32x8 found[H] = {};
        for (int start = 0; start < half / 4; start += 4) {
            i32x8 part[H] = {};
            for (int i = start; i < std::min(half / 4, start + 4); i++) {
                const i32x8 codes = more_bytes(keys + i * 4 * BLOCK), x = low_bytes(codes), y = high_bytes(codes);
#pragma GCC unroll 4
                for (int h = 0; h < H; h++) {
                    part[h] = dot_bytes(part[h], x, four_times(b.q + h * dk + 4 * i));
                    part[h] = dot_bytes(part[h], y, four_times(b.q + h * dk + half + 4 * i));
                }
            }
            for (int h = 0; h < H; h++) found[h] = add_shorts(found[h], part[h]);
        }
        for (int h = 0; h < H; h++) store(w.p + h * BLOCK + t, fma(floats(found[h]), all(steps[h]), all(shifts[h])));
    }

    // eight channels of the lower half and eight of the upper
    template <int H>
    static void channel_lanes(Work& w, const uint8_t* values, int dv, int c, const Bytes& b, const float* steps,
                              const float* shifts) {
        const int half = dv / 2, g = c / GROUP, other = (half + c) / GROUP;
        i32x8 low[H] = {}, high[H] = {};
        for (int start = 0; start < BLOCK; start += ROWS) {
            i32x8 first[H] = {}, second[H] = {};
            for (int t = start; t < start + ROWS; t += 4) {
                const i32x8 codes = more_bytes(values + t * half);
                const i32x8 x = less_eight(low_bytes(codes)), y = less_eight(high_bytes(codes));
#pragma GCC unroll 4
                for (int h = 0; h < H; h++) {
                    first[h] = dot_bytes(first[h], four_times(b.p + (h * GROUPS + g) * BLOCK + t), x);
                    second[h] = dot_bytes(second[h], four_times(b.p + (h * GROUPS + other) * BLOCK + t), y);
                }
            }
            for (int h = 0; h < H; h++) {
                low[h] = add_shorts(low[h], first[h]);
                high[h] = add_shorts(high[h], second[h]);
            }
        }
        for (int h = 0; h < H; h++) {
            Int4::add_to(w.out + h * dv + c, low[h], steps[h], shifts[h * GROUPS + g]);
            Int4::add_to(w.out + h * dv + half + c, high[h], steps[h], shifts[h * GROUPS + other]);
        }
    }
};

}  // namespace ctxeng
