// Blocks of a segment: where they lie, what a tile of query rows sees of them, and which codec reads them.
#pragma once
#include "attend.h"
#include "dense.h"
#include "int4_fast.h"
#include "int8.h"
#include "tiles.h"

namespace ctxeng {

struct Place {
    int64_t id;
    int live;
};

inline Place place(const ctxeng_blocks& s, int64_t kv, int64_t b) {
    if (!s.ids) return {s.first + kv * s.stride + b, static_cast<int>(std::min<int64_t>(BLOCK, s.length - b * BLOCK))};
    return {s.ids[kv * s.blocks + b], static_cast<int>(s.fill[kv * s.blocks + b])};
}

// which rows of block b the tile's query rows see; false: none
inline bool seen(const ctxeng_queries& q, int64_t row, int heads, int64_t b, int live, Sight& sight) {
    int most = 0;
    for (int h = 0; h < heads; h++) {
        const int64_t from = q.from ? q.from[row + h] - b * BLOCK : 0, to = q.to ? q.to[row + h] - b * BLOCK : live;
        sight.from[h] = static_cast<int>(std::clamp<int64_t>(from, 0, live));
        sight.to[h] = static_cast<int>(std::clamp<int64_t>(to, sight.from[h], live));
        most = std::max(most, sight.to[h] - sight.from[h]);
    }
    return most > 0;
}

// run(codec) with the codec that the blocks are of
template <class Run>
void with_codec(const ctxeng_blocks& s, const Run& run) {
    const auto half = [&](int i) { return static_cast<const uint16_t*>(s.arrays[i]); };
    const auto fours = [&] {
        const auto byte = [&](int i) { return static_cast<const uint8_t*>(s.arrays[i]); };
        return Fours{byte(0), half(1), half(2), byte(3), half(4), half(5)};
    };
    const auto dense = [&](auto number) {
        using Number = decltype(number);
        run(Dense<Number>{static_cast<const Number*>(s.arrays[0]), static_cast<const Number*>(s.arrays[1])});
    };
    const auto byte = [&](int i) { return static_cast<const int8_t*>(s.arrays[i]); };
    switch (s.codec) {
        case CTXENG_FP32: return dense(0.0f);
        case CTXENG_BF16: return dense(bf16{});
        case CTXENG_FP16: return dense(fp16{});
        case CTXENG_INT8: return run(Int8{byte(0), half(1), byte(2), half(3)});
        case CTXENG_INT4: return run(Int4{fours()});
        default: return run(Int4Fast{fours()});
    }
}

}  // namespace ctxeng
