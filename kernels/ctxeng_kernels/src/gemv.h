// A few vectors times a matrix of one byte or half a byte a weight.
#pragma once
#include <cstdint>

extern "C" {

// x [rows][in] times the transpose of codes [out][in] with a scale a row -> y [rows][out]; `in` a multiple of 16.
void ctxeng_gemv_int8(const int8_t* codes, const float* scales, const float* x, int64_t rows, int64_t out, int64_t in,
                      int64_t threads, float* y);

// The same of codes [out][groups][64], the first half of a group's 128 inputs in the low bits; a weight is
// (code - 7.5) * scale + middle, both [out][groups] in half precision. x [rows][groups * 128].
void ctxeng_gemv_int4(const uint8_t* codes, const uint16_t* scales, const uint16_t* middles, const float* x,
                      int64_t rows, int64_t out, int64_t groups, int64_t threads, float* y);
}
