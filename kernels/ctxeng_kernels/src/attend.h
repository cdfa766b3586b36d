// Attention of some query rows over the blocks of one segment.
#pragma once
#include <cstdint>

extern "C" {

enum ctxeng_codec { CTXENG_FP32, CTXENG_BF16, CTXENG_FP16, CTXENG_INT8, CTXENG_INT4, CTXENG_INT4_FAST };

struct ctxeng_blocks {
    int64_t codec;          // a ctxeng_codec
    const void* arrays[6];  // the codec's fields, block first
    const int64_t *ids, *fill;      // [kv_heads][blocks]: blocks and their live rows; null: they lie regularly:
    int64_t first, stride, length;  // KV head h's are first + h * stride onwards, `length` rows of each
    int64_t kv_heads, blocks, dk, dv;
    int64_t held;  // blocks that the arrays hold
};

struct ctxeng_queries {
    const float* q;             // [kv_heads][rows][dk]
    int64_t rows;
    const int64_t *from, *to;   // [kv_heads][rows]: the keys each sees, counted over the blocks; null: all live ones
    float scale;
};

// Whether every block lies in the arrays, and no block has more than 64 rows: to be asked before the others.
int ctxeng_blocks_sound(const ctxeng_blocks*);

// o [kv_heads][rows][dv] and lse [kv_heads][rows]; nought and -inf where nothing is seen, NaN where something
// seen is no number. dk and dv are multiples of 16 (dense: dk of 8; int4: both of 16), at most 256.
void ctxeng_attend(const ctxeng_blocks*, const ctxeng_queries*, int64_t threads, float* o, float* lse);

// How much each key was given, summed over the query rows [kv_heads][blocks * 64], from their lse.
void ctxeng_columns(const ctxeng_blocks*, const ctxeng_queries*, const float* lse, int64_t threads, float* sums);
}
