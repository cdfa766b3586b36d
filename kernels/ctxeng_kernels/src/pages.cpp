// Which pages or clusters of keys matter to some queries: scores of all of them, and the best, in one pass.
#include "pages.h"

#include <numeric>
#include <vector>

#include "tiles.h"
#include "threads.h"

namespace ctxeng {

constexpr int64_t AHEAD = 4;  // pages that are fetched before they are looked at

// the queries of one KV head apart in what is above nought and what is below: [rows][2][d]
static std::vector<float> parted(const float* q, int64_t rows, int64_t d) {
    std::vector<float> both(rows * 2 * d);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < d; c++) {
            both[r * 2 * d + c] = std::min(q[r * d + c], 0.0f);
            both[(r * 2 + 1) * d + c] = std::max(q[r * d + c], 0.0f);
        }
    return both;
}

// the largest sum that a key between `low` and `high`, one behind the other, can have with H queries
template <int H>
static float bound(const float* low, const float* parts, int64_t d) {
    f32x8 first[HEADS] = {}, second[HEADS] = {};
    for (int64_t c = 0; c < d; c += 8) {
        const f32x8 l = loadu(low + c), h = loadu(low + d + c);
#pragma GCC unroll 4
        for (int r = 0; r < H; r++) {
            first[r] = fma(loadu(parts + r * 2 * d + c), l, first[r]);
            second[r] = fma(loadu(parts + (r * 2 + 1) * d + c), h, second[r]);
        }
    }
    for (int r = 0; r < H; r++) first[r] = first[r] + second[r];
    alignas(16) float found[HEADS];
    store(found, four_sums(first));
    return *std::max_element(found, found + H);
}

// of one KV head: the `count` pages of the highest bounds, rising; the earlier of two equals
static void best_pages(const float* bounds, const float* q, const ctxeng_pages& s, int64_t kv, int64_t* chosen) {
    std::vector<float> scores(s.pages, -INFINITE);
    const std::vector<float> parts = parted(q + kv * s.rows * s.d, s.rows, s.d);
    for (int64_t page = 0; page < s.pages; page++) {
        const float* low = bounds + (kv * s.pages + page) * 2 * s.d;
        fetch(low + AHEAD * 2 * s.d, static_cast<int>(2 * s.d * sizeof(float)));
        by_fours(s.rows, [&](auto rows, int64_t first) {
            const float found = bound<rows.value>(low, parts.data() + first * 2 * s.d, s.d);
            scores[page] = std::max(scores[page], found);
        });
    }
    std::vector<int64_t> order(s.pages);
    std::iota(order.begin(), order.end(), 0);
    const auto before = [&](int64_t a, int64_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; };
    std::nth_element(order.begin(), order.begin() + s.count, order.end(), before);
    std::sort(order.begin(), order.begin() + s.count);
    std::copy(order.begin(), order.begin() + s.count, chosen + kv * s.count);
}

// of one KV head: exp(logit) over the sum of size * exp(logit), the largest of the queries
static void shares(const float* centroids, const float* sizes, const uint8_t* looked, const float* q,
                   const ctxeng_pages& s, int64_t kv, float* found) {
    std::vector<float> logits(s.pages);
    std::fill(found, found + s.pages, 0.0f);
    for (int64_t r = 0; r < s.rows; r++) {
        float top = -INFINITE, total = 0.0f;
        for (int64_t j = 0; j < s.pages; j++) {
            f32x8 sum_of = all(0.0f);
            const float *c = centroids + j * s.d, *x = q + (kv * s.rows + r) * s.d;
            const bool counts = looked[j] && sizes[j] > 0;
            for (int64_t i = 0; counts && i < s.d; i += 8) sum_of = fma(loadu(c + i), loadu(x + i), sum_of);
            logits[j] = counts ? sum(sum_of) : -INFINITE;
            top = std::max(top, logits[j]);
        }
        for (int64_t j = 0; j < s.pages; j++)
            if (logits[j] > -INFINITE) total += sizes[j] * (logits[j] = std::exp(logits[j] - top));
        for (int64_t j = 0; j < s.pages; j++)
            if (logits[j] > -INFINITE) found[j] = std::max(found[j], logits[j] / total);
    }
}

}  // namespace ctxeng

void ctxeng_best_pages(const ctxeng_pages* s, const float* bounds, const float* q, int64_t threads, int64_t* chosen) {
    ctxeng::parallel(static_cast<int>(threads), s->kv_heads,
                     [&](int64_t kv) { ctxeng::best_pages(bounds, q, *s, kv, chosen); });
}

void ctxeng_centroids(const ctxeng_pages* s, const float* centroids, const float* sizes, const uint8_t* looked,
                      const float* q, int64_t threads, float* found) {
    ctxeng::parallel(static_cast<int>(threads), s->kv_heads, [&](int64_t kv) {
        const int64_t at = kv * s->pages;
        ctxeng::shares(centroids + at * s->d, sizes + at, looked + at, q, *s, kv, found + at);
    });
}
