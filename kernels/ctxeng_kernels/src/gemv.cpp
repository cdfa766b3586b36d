// The inputs are rounded to 16 bit, with a step for each 128 of them: an input that stands out costs its
// neighbours precision, and no others. Products are then whole numbers; 128 * 127 * 32767 stays below 2^31.
#include "gemv.h"

#include <vector>

#include "softmax.h"
#include "threads.h"

namespace ctxeng {

constexpr int SPAN = 128, TILE = 4;
constexpr int64_t SHARE = 32;  // outputs that a thread takes at a time

struct Inputs {  // of all rows, in 16 bit
    int64_t groups, width;
    std::vector<int16_t> codes;         // [row][groups * 128]
    std::vector<float> steps, sums, halves;  // [row][group]: of a code one; of the inputs; 7.5 times that of the codes

    Inputs(const float* x, int64_t rows, int64_t in)
        : groups((in + SPAN - 1) / SPAN), width(groups * SPAN), codes(rows * width), steps(rows * groups),
          sums(rows * groups), halves(rows * groups) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t g = 0; g < groups; g++)
                round(x + r * in + g * SPAN, std::min<int64_t>(SPAN, in - g * SPAN), r * groups + g);
    }

    void round(const float* x, int64_t count, int64_t at) {
        alignas(32) float part[SPAN] = {};
        alignas(32) int16_t shorts[SPAN];
        std::copy(x, x + count, part);
        f32x8 most = all(LEAST), total = all(0.0f);
        for (int i = 0; i < SPAN; i += 8) {
            most = larger_of_all(most, absolute(load(part + i)));
            total = total + load(part + i);
        }
        const float top = largest_of_all(most);
        steps[at] = step_of(top);
        sums[at] = sum(total);
        halves[at] = 7.5f * steps[at] * sum(whole(part, SPAN, FULL / top, shorts));
        std::copy(shorts, shorts + SPAN, codes.begin() + at * SPAN);
    }
};

// R outputs of T rows: several streams of memory, and each weight is widened once for all rows
template <int R, int T>
static void eights(const int8_t* w, int64_t in, const Inputs& x, int64_t row, float found[R][T]) {
    f32x8 total[R][T] = {};
    for (int64_t g = 0; g < x.groups; g++) {
        i32x8 part[R][T] = {};
        const int64_t end = std::min<int64_t>(in, (g + 1) * SPAN);
        for (int64_t c = g * SPAN; c < end; c += 16) {
            i32x8 by[T];
            for (int t = 0; t < T; t++) by[t] = shorts(x.codes.data() + (row + t) * x.width + c);
            for (int r = 0; r < R; r++) {
                const i32x8 codes = widened(bytes(w + r * in + c));
                for (int t = 0; t < T; t++) part[r][t] = dot(part[r][t], codes, by[t]);
            }
        }
        for (int r = 0; r < R; r++)
            for (int t = 0; t < T; t++)
                total[r][t] = fma(floats(part[r][t]), all(x.steps[(row + t) * x.groups + g]), total[r][t]);
    }
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) found[r][t] = sum(total[r][t]);
}

struct Eights {
    const int8_t* codes;
    const float* scales;
    int64_t in;

    template <int R, int T>
    void operator()(int64_t o, const Inputs& x, int64_t row, float found[R][T]) const {
        eights<R, T>(codes + o * in, in, x, row, found);
        for (int r = 0; r < R; r++)
            for (int t = 0; t < T; t++) found[r][t] *= scales[o + r];
    }
};

struct HalfBytes {
    const uint8_t* codes;
    const uint16_t *scales, *middles;

    template <int R, int T>
    void operator()(int64_t o, const Inputs& x, int64_t row, float found[R][T]) const {
        f32x8 total[R][T] = {};
        for (int64_t g = 0; g < x.groups; g++)
            for (int r = 0; r < R; r++) {
                const int64_t at = (o + r) * x.groups + g;
                const float scale = one_half(scales[at]);
                i32x8 part[T] = {};
                for (int c = 0; c < SPAN / 2; c += 16) {
                    const i32x8 both = spread(bytes(codes + at * SPAN / 2 + c));
                    const i32x8 low = low_codes(both), high = high_codes(both);
                    for (int t = 0; t < T; t++) {
                        const int16_t* by = x.codes.data() + (row + t) * x.width + g * SPAN + c;
                        part[t] = dot(dot(part[t], low, shorts(by)), high, shorts(by + SPAN / 2));
                    }
                }
                for (int t = 0; t < T; t++) {
                    const float step = x.steps[(row + t) * x.groups + g] * scale;
                    total[r][t] = fma(floats(part[t]), all(step), total[r][t]);
                }
            }
        for (int r = 0; r < R; r++)
            for (int t = 0; t < T; t++) found[r][t] = sum(total[r][t]) + shift(x, o + r, row + t);
    }

    // what the middles add, and what the codes' 7.5 takes away
    float shift(const Inputs& x, int64_t o, int64_t row) const {
        const int64_t groups = x.groups;
        const uint16_t *scale = scales + o * groups, *middle = middles + o * groups;
        const float *sums = x.sums.data() + row * groups, *codes = x.halves.data() + row * groups;
        f32x8 total = all(0.0f);
        int64_t g = 0;
        for (; g + 8 <= groups; g += 8)
            total = fma(halves(middle + g), loadu(sums + g), total) - halves(scale + g) * loadu(codes + g);
        float rest = sum(total);
        for (; g < groups; g++) rest += one_half(middle[g]) * sums[g] - one_half(scale[g]) * codes[g];
        return rest;
    }
};

template <int R, int T, class Matrix>
static void block(const Matrix& m, int64_t o, const Inputs& x, int64_t row, int64_t out, float* y) {
    float found[R][T];
    m.template operator()<R, T>(o, x, row, found);
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) y[(row + t) * out + o + r] = found[r][t];
}

template <int T, class Matrix>
static void outputs(const Matrix& m, int64_t start, int64_t end, const Inputs& x, int64_t row, int64_t out, float* y) {
    constexpr int R = TILE / T;
    int64_t o = start;
    for (; o + R <= end; o += R) block<R, T>(m, o, x, row, out, y);
    for (; o < end; o++) block<1, T>(m, o, x, row, out, y);
}

template <class Matrix>
static void multiply(const Matrix& m, const float* x, int64_t rows, int64_t out, int64_t in, int64_t threads, float* y) {
    const Inputs inputs(x, rows, in);
    parallel(static_cast<int>(threads), (out + SHARE - 1) / SHARE, [&](int64_t item) {
        const int64_t start = item * SHARE, end = std::min(out, start + SHARE);
        int64_t row = 0;
        for (; row + 4 <= rows; row += 4) outputs<4>(m, start, end, inputs, row, out, y);
        for (; row + 2 <= rows; row += 2) outputs<2>(m, start, end, inputs, row, out, y);
        for (; row < rows; row++) outputs<1>(m, start, end, inputs, row, out, y);
    });
}

}  // namespace ctxeng

void ctxeng_gemv_int8(const int8_t* codes, const float* scales, const float* x, int64_t rows, int64_t out, int64_t in,
                      int64_t threads, float* y) {
    ctxeng::multiply(ctxeng::Eights{codes, scales, in}, x, rows, out, in, threads, y);
}

void ctxeng_gemv_int4(const uint8_t* codes, const uint16_t* scales, const uint16_t* middles, const float* x,
                      int64_t rows, int64_t out, int64_t groups, int64_t threads, float* y) {
    ctxeng::multiply(ctxeng::HalfBytes{codes, scales, middles}, x, rows, out, groups * ctxeng::SPAN, threads, y);
}
