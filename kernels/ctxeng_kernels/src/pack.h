// Codes of blocks, and the way back.
#pragma once
#include <cstdint>

#include "attend.h"

extern "C" {

// x [blocks][64][d], d a multiple of 8 -> codes as pack.py's `encode` gives them, by rows, to the bit. Of keys the
// scales are a channel's, of values (`by_row`) a row's (int4: and 32 channels'). bits: 8 or 4; middles: int4's.
void ctxeng_encode(int64_t bits, int64_t by_row, const float* x, int64_t blocks, int64_t d, int64_t threads, void* codes,
                   uint16_t* scales, uint16_t* middles);

// Rows [kv_heads][count] of encoded blocks, counted over the segment's blocks -> keys [kv_heads][count][dk] and
// values [kv_heads][count][dv]; a row below nought, or behind the last block, is nought.
void ctxeng_gather(const ctxeng_blocks*, const int64_t* rows, int64_t count, int64_t threads, float* k, float* v);
}
