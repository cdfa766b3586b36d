// Query rows of a KV head in tiles of four, keys in ranges of 32 blocks: a range is read from memory once for all
// tiles, and ranges are what threads share. They are merged in their order, so that neither the number of threads
// nor the rows beside it change a bit of a row.
#include "attend.h"

#include <vector>

#include "blocks.h"
#include "threads.h"

namespace ctxeng {

constexpr int64_t RANGE = 32, PANEL = 64;  // blocks that stay near the processor; rows whose parts are held at once

// the state of H query rows after blocks start .. end
template <int H, class Codec>
static void tile(const Codec& codec, const ctxeng_blocks& s, const ctxeng_queries& q, int64_t kv, int64_t row,
                 int64_t start, int64_t end, float* o, float* lse) {
    Work w;
    std::memset(w.out, 0, sizeof(float) * H * s.dv);
    const int dk = static_cast<int>(s.dk), dv = static_cast<int>(s.dv);
    Sight sight;
    for (int64_t b = start; b < end; b++) {
        const auto [id, live] = place(s, kv, b);
        if (!seen(q, row, H, b, live, sight)) continue;
        codec.template score<H>(w, q.q + row * dk, id, live, dk, dv, q.scale);
        softmax(w, H, dv, sight);
        const int64_t next = place(s, kv, std::min(b + 1, end - 1)).id;
        codec.template gather<H>(w, id, live, dk, dv, next);
    }
    for (int h = 0; h < H; h++) {
        const Sums& found = w.sums[h];
        const float share = found.total == 0 ? 0.0f : 1.0f / found.total;
        for (int c = 0; c < dv; c++) o[h * dv + c] = w.out[h * dv + c] * share;
        lse[h] = found.top + std::log(found.total);  // -inf where nothing was seen
    }
}

template <class Codec>
static void panel(const Codec& codec, const ctxeng_blocks& s, const ctxeng_queries& q, int64_t kv, int64_t row,
                  int64_t rows, int64_t start, int64_t end, float* o, float* lse) {
    by_fours(rows, [&](auto heads, int64_t first) {
        tile<heads.value>(codec, s, q, kv, row + first, start, end, o + first * s.dv, lse + first);
    });
}

// [ranges][rows] states of one panel -> its rows
static void merge(const float* os, const float* lses, int64_t ranges, int64_t rows, int64_t dv, float* o, float* lse) {
    for (int64_t r = 0; r < rows; r++) {
        float top = -INFINITE, total = 0.0f;
        for (int64_t i = 0; i < ranges; i++) top = std::max(top, lses[i * rows + r]);
        std::fill(o + r * dv, o + (r + 1) * dv, 0.0f);
        for (int64_t i = 0; i < ranges; i++) {
            const float log = lses[i * rows + r];
            if (log == -INFINITE) continue;
            const float share = std::exp(log - top);
            total += share;
            for (int64_t c = 0; c < dv; c++) o[r * dv + c] += share * os[(i * rows + r) * dv + c];
        }
        for (int64_t c = 0; c < dv && total != 0; c++) o[r * dv + c] /= total;
        lse[r] = top + std::log(total);
    }
}

template <class Codec>
static void attend(const Codec& codec, const ctxeng_blocks& s, const ctxeng_queries& q, int64_t threads, float* o,
                   float* lse) {
    const int64_t ranges = (s.blocks + RANGE - 1) / RANGE, height = std::min(PANEL, q.rows);
    std::vector<float> os(ranges > 1 ? s.kv_heads * ranges * height * s.dv : 0);
    std::vector<float> lses(ranges > 1 ? s.kv_heads * ranges * height : 0);
    for (int64_t first = 0; first < q.rows; first += PANEL) {
        const int64_t rows = std::min(PANEL, q.rows - first);
        parallel(static_cast<int>(threads), s.kv_heads * std::max<int64_t>(ranges, 1), [&](int64_t item) {
            const int64_t kv = item / std::max<int64_t>(ranges, 1), start = item % std::max<int64_t>(ranges, 1) * RANGE;
            const int64_t row = kv * q.rows + first, end = std::min(s.blocks, start + RANGE), part = item * rows;
            const bool alone = ranges <= 1;
            panel(codec, s, q, kv, row, rows, start, end, alone ? o + row * s.dv : os.data() + part * s.dv,
                  alone ? lse + row : lses.data() + part);
        });
        for (int64_t kv = 0; kv < s.kv_heads && ranges > 1; kv++) {
            const int64_t row = kv * q.rows + first, part = kv * ranges * rows;
            merge(os.data() + part * s.dv, lses.data() + part, ranges, rows, s.dv, o + row * s.dv, lse + row);
        }
    }
}

}  // namespace ctxeng

int ctxeng_blocks_sound(const ctxeng_blocks* s) {
    if (s->kv_heads * s->blocks == 0) return 1;
    if (!s->ids) {
        const int64_t last = s->first + (s->kv_heads - 1) * s->stride + s->blocks - 1;
        return s->first >= 0 && s->stride >= 0 && last < s->held;
    }
    for (int64_t i = 0; i < s->kv_heads * s->blocks; i++)
        if (s->ids[i] < 0 || s->ids[i] >= s->held || s->fill[i] < 0 || s->fill[i] > ctxeng::BLOCK) return 0;
    return 1;
}

void ctxeng_attend(const ctxeng_blocks* s, const ctxeng_queries* q, int64_t threads, float* o, float* lse) {
    ctxeng::with_codec(*s, [&](const auto& codec) { ctxeng::attend(codec, *s, *q, threads, o, lse); });
}
