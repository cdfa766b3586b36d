// What each key was given, from the log-sum-exps of the queries: a second pass that never holds the map of them.
#include "attend.h"
#include "blocks.h"
#include "threads.h"

namespace ctxeng {

// onto the sums of the 64 keys of block b: what H query rows gave them
template <int H, class Codec>
static void add_columns(const Codec& codec, const ctxeng_blocks& s, const ctxeng_queries& q, const float* lse,
                        int64_t kv, int64_t row, int64_t b, float* sums) {
    const auto [id, live] = place(s, kv, b);
    Sight sight;
    if (!seen(q, row, H, b, live, sight)) return;
    Work w;
    codec.template score<H>(w, q.q + row * s.dk, id, live, static_cast<int>(s.dk), static_cast<int>(s.dv), q.scale);
    for (int h = 0; h < H; h++) {
        float* p = w.p + h * BLOCK;
        const float log = lse[row + h];
        if (log == -INFINITE) continue;
        for (int t = 0; t < BLOCK; t += 8) store(p + t, exponential(smaller(all(0.0f), load(p + t) - all(log))));
        for (int t = sight.from[h]; t < sight.to[h]; t++) sums[t] += p[t];
    }
}

template <class Codec>
static void columns(const Codec& codec, const ctxeng_blocks& s, const ctxeng_queries& q, const float* lse,
                    int64_t threads, float* sums) {
    parallel(static_cast<int>(threads), s.kv_heads * s.blocks, [&](int64_t item) {
        const int64_t kv = item / s.blocks, b = item % s.blocks;
        float* to = sums + item * BLOCK;
        std::fill(to, to + BLOCK, 0.0f);
        by_fours(q.rows, [&](auto heads, int64_t first) {
            add_columns<heads.value>(codec, s, q, lse, kv, kv * q.rows + first, b, to);
        });
    });
}

}  // namespace ctxeng

void ctxeng_columns(const ctxeng_blocks* s, const ctxeng_queries* q, const float* lse, int64_t threads, float* sums) {
    ctxeng::with_codec(*s, [&](const auto& codec) { ctxeng::columns(codec, *s, *q, lse, threads, sums); });
}
