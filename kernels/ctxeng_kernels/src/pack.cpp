// Scales are rounded to half precision first, so that codes know it; NaN makes its scale NaN.
#include "pack.h"

#include <vector>

#include "blocks.h"
#include "threads.h"

namespace ctxeng {

constexpr float LEAST_SCALE = 6e-5f, MOST = 6e4f;

// the bounds of the second stay NaN where it is
static f32x8 within(float low, float high, f32x8 x) { return smaller(all(high), larger(all(low), x)); }

struct Range {
    f32x8 low = all(INFINITE), high = all(-INFINITE), odd = all(0.0f);

    void see(f32x8 x) {
        low = smaller(low, x);
        high = larger(high, x);
        odd = either(odd, unordered(x));
    }
    void join() {  // of all lanes in every lane
        low = all(-largest(all(0.0f) - low));
        high = all(largest(high));
        odd = any(odd) ? unordered(all(NAN)) : all(0.0f);
    }
};

// scale and middle of eight ranges, as single numbers that half precision can say
template <int BITS>
static void steps(const Range& r, f32x8& scale, f32x8& middle) {
    if (BITS == 8) {
        scale = larger(absolute(r.low), absolute(r.high)) / all(127.0f);
        middle = all(0.0f);
    } else {
        scale = (r.high - r.low) / all(15.0f);
        middle = rounded_to_half(within(-MOST, MOST, (r.high + r.low) / all(2.0f)));
    }
    scale = either(rounded_to_half(within(LEAST_SCALE, MOST, scale)), r.odd);
}

template <int BITS>
static i32x8 code(f32x8 x, f32x8 scale, f32x8 middle) {
    if (BITS == 8) return rounded(within(-127.0f, 127.0f, nearest(x / scale)));
    return rounded(within(0.0f, 15.0f, nearest((x - middle) / scale + all(7.5f))));
}

// one block: codes [64][d], a byte each
template <int BITS>
static void by_channel(const float* x, int64_t d, int8_t* codes, uint16_t* scales, uint16_t* middles) {
    for (int64_t c = 0; c < d; c += 8) {
        Range range;
        f32x8 scale, middle;
        for (int t = 0; t < BLOCK; t++) range.see(loadu(x + t * d + c));
        steps<BITS>(range, scale, middle);
        store_halves(scales + c, scale);
        if (BITS == 4) store_halves(middles + c, middle);
        for (int t = 0; t < BLOCK; t++)
            store_bytes(codes + t * d + c, code<BITS>(loadu(x + t * d + c), scale, middle));
    }
}

template <int BITS>
static void by_rows(const float* x, int64_t d, int8_t* codes, uint16_t* scales, uint16_t* middles) {
    const int64_t width = BITS == 8 ? d : GROUP, groups = (d + width - 1) / width;
    for (int64_t t = 0; t < BLOCK; t++)
        for (int64_t g = 0; g < groups; g++) {
            const int64_t start = t * d + g * width, end = t * d + std::min(d, (g + 1) * width);
            Range range;
            f32x8 scale, middle;
            for (int64_t i = start; i < end; i += 8) range.see(loadu(x + i));
            range.join();
            steps<BITS>(range, scale, middle);
            scales[t * groups + g] = half_of(scale);
            if (BITS == 4) middles[t * groups + g] = half_of(middle);
            for (int64_t i = start; i < end; i += 8)
                store_bytes(codes + i, code<BITS>(loadu(x + i), scale, middle));
        }
}

template <int BITS>
static void encode(bool rows, const float* x, int64_t block, int64_t d, void* codes, uint16_t* scales,
                   uint16_t* middles) {
    const int64_t groups = rows ? BLOCK * (BITS == 8 ? 1 : (d + GROUP - 1) / GROUP) : d;
    const auto run = rows ? by_rows<BITS> : by_channel<BITS>;
    uint16_t* middle = BITS == 4 ? middles + block * groups : nullptr;
    if (BITS == 8) return run(x + block * BLOCK * d, d, static_cast<int8_t*>(codes) + block * BLOCK * d, scales + block * groups, middle);
    std::vector<int8_t> bytes(BLOCK * d);
    run(x + block * BLOCK * d, d, bytes.data(), scales + block * groups, middle);
    uint8_t* to = static_cast<uint8_t*>(codes) + block * BLOCK * d / 2;
    for (int64_t t = 0; t < BLOCK; t++)
        for (int64_t c = 0; c < d / 2; c++)
            to[t * d / 2 + c] = static_cast<uint8_t>((bytes[t * d + c] & 15) | (bytes[t * d + d / 2 + c] & 15) << 4);
}

struct Scales {  // of the block that was read last
    int64_t id = -1;
    alignas(32) float k[WIDEST], k_middle[WIDEST];

    void of(int64_t block, const uint16_t* scale, const uint16_t* middle, int64_t dk) {
        if (id == block) return;
        id = block;
        for (int64_t c = 0; c < dk; c += 8) {
            store(k + c, halves(scale + block * dk + c));
            if (middle) store(k_middle + c, halves(middle + block * dk + c));
        }
    }
};

// row t of a block in fours
static void row_of(const Int8& s, Scales& w, int64_t id, int t, int64_t dk, int64_t dv, float* k, float* v) {
    w.of(id, s.k_scale, nullptr, dk);
    const int8_t *keys = s.k + id * BLOCK * dk + 4 * t, *values = s.v + id * BLOCK * dv + t / 4 * 4 * dv + t % 4;
    for (int64_t c = 0; c < dk; c += 4, keys += 4 * BLOCK)
        for (int64_t i = 0; i < 4; i++) k[c + i] = keys[i] * w.k[c + i];
    const float scale = one_half(s.v_scale[id * BLOCK + t]);
    for (int64_t c = 0; c < dv; c++) v[c] = values[4 * c] * scale;
}

static void row_of(const Int4& s, Scales& w, int64_t id, int t, int64_t dk, int64_t dv, float* k, float* v) {
    w.of(id, s.k_scale, s.k_middle, dk);
    const int64_t hk = dk / 2, hv = dv / 2, groups = (dv + GROUP - 1) / GROUP;
    const uint8_t *keys = s.k + id * BLOCK * hk + 4 * t, *values = s.v + id * BLOCK * hv + t / 4 * 4 * hv + t % 4;
    for (int64_t c = 0; c < hk; c += 4, keys += 4 * BLOCK)
        for (int64_t i = c; i < c + 4; i++) {
            const uint8_t both = keys[i - c];
            k[i] = (static_cast<float>(both & 15) - 7.5f) * w.k[i] + w.k_middle[i];
            k[hk + i] = (static_cast<float>(both >> 4) - 7.5f) * w.k[hk + i] + w.k_middle[hk + i];
        }
    float scale[GROUPS], middle[GROUPS];
    for (int64_t g = 0; g < groups; g++) {
        scale[g] = one_half(s.v_scale[(id * BLOCK + t) * groups + g]);
        middle[g] = one_half(s.v_middle[(id * BLOCK + t) * groups + g]);
    }
    for (int64_t c = 0; c < hv; c++) {
        const int64_t g = c / GROUP, other = (hv + c) / GROUP;
        v[c] = (static_cast<float>(values[4 * c] & 15) - 7.5f) * scale[g] + middle[g];
        v[hv + c] = (static_cast<float>(values[4 * c] >> 4) - 7.5f) * scale[other] + middle[other];
    }
}

template <class Number>
static void row_of(const Dense<Number>& s, Scales&, int64_t id, int t, int64_t dk, int64_t dv, float* k, float* v) {
    for (int64_t c = 0; c < dk; c += 8) storeu(k + c, eight(s.k + (id * BLOCK + t) * dk + c));
    for (int64_t c = 0; c < dv; c += 8) storeu(v + c, eight(s.v + (id * BLOCK + t) * dv + c));
}

static void row_of(const Int4Fast& s, Scales& w, int64_t id, int t, int64_t dk, int64_t dv, float* k, float* v) {
    row_of(Int4{s}, w, id, t, dk, dv, k, v);
}

template <class Codec>
static void gather(const Codec& codec, const ctxeng_blocks& s, const int64_t* rows, int64_t count, int64_t threads,
                   float* k, float* v) {
    const int64_t parts = (count + BLOCK - 1) / BLOCK;
    parallel(static_cast<int>(threads), s.kv_heads * parts, [&](int64_t item) {
        const int64_t kv = item / parts, start = item % parts * BLOCK, end = std::min(count, start + BLOCK);
        Scales scales;
        for (int64_t i = kv * count + start; i < kv * count + end; i++) {
            float *to_k = k + i * s.dk, *to_v = v + i * s.dv;
            if (rows[i] >= 0 && rows[i] < s.blocks * BLOCK) {
                const int64_t id = place(s, kv, rows[i] / BLOCK).id;
                row_of(codec, scales, id, static_cast<int>(rows[i] % BLOCK), s.dk, s.dv, to_k, to_v);
            } else {
                std::fill(to_k, to_k + s.dk, 0.0f);
                std::fill(to_v, to_v + s.dv, 0.0f);
            }
        }
    });
}

}  // namespace ctxeng

void ctxeng_encode(int64_t bits, int64_t by_row, const float* x, int64_t blocks, int64_t d, int64_t threads, void* codes,
                   uint16_t* scales, uint16_t* middles) {
    const auto run = bits == 8 ? ctxeng::encode<8> : ctxeng::encode<4>;
    ctxeng::parallel(static_cast<int>(threads), blocks,
                     [&](int64_t block) { run(by_row != 0, x, block, d, codes, scales, middles); });
}

void ctxeng_gather(const ctxeng_blocks* s, const int64_t* rows, int64_t count, int64_t threads, float* k, float* v) {
    ctxeng::with_codec(*s, [&](const auto& codec) { ctxeng::gather(codec, *s, rows, count, threads, k, v); });
}
