// Vector arithmetic of one instruction set, AVX2 with FMA and F16C. Another set is another file of these names.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace ctxeng {

using f32x8 = __m256;
using i32x8 = __m256i;

inline f32x8 all(float x) { return _mm256_set1_ps(x); }
inline f32x8 load(const float* p) { return _mm256_load_ps(p); }
inline f32x8 loadu(const float* p) { return _mm256_loadu_ps(p); }
inline f32x8 halves(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
inline void store(float* p, f32x8 x) { _mm256_store_ps(p, x); }
inline f32x8 fma(f32x8 a, f32x8 b, f32x8 c) { return _mm256_fmadd_ps(a, b, c); }
inline f32x8 larger(f32x8 a, f32x8 b) { return _mm256_max_ps(a, b); }
inline f32x8 absolute(f32x8 x) { return _mm256_andnot_ps(all(-0.0f), x); }
inline f32x8 floats(i32x8 x) { return _mm256_cvtepi32_ps(x); }

inline i32x8 zeros() { return _mm256_setzero_si256(); }
inline i32x8 rounded(f32x8 x) { return _mm256_cvtps_epi32(x); }
inline i32x8 add(i32x8 a, i32x8 b) { return _mm256_add_epi32(a, b); }
inline void store(int16_t* p, i32x8 x) { _mm256_store_si256((__m256i*)p, x); }
inline void store(int32_t* p, __m128i x) { _mm_store_si128((__m128i*)p, x); }
inline i32x8 shorts(const int16_t* p) { return _mm256_load_si256((const __m256i*)p); }
inline i32x8 narrowed(i32x8 a, i32x8 b) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8); }
// 16 signed bytes -> 16 shorts
inline i32x8 widened(__m128i x) { return _mm256_cvtepi8_epi16(x); }
inline __m128i bytes(const void* p) { return _mm_loadu_si128((const __m128i*)p); }
// sum + the products of neighbouring shorts
inline i32x8 dot(i32x8 sum, i32x8 a, i32x8 b) { return add(sum, _mm256_madd_epi16(a, b)); }
inline i32x8 twice(const int16_t* p) {  // two shorts, eight times
    int32_t both;
    std::memcpy(&both, p, sizeof both);
    return _mm256_set1_epi32(both);
}
inline __m128i nibbles(__m128i x, bool high) {
    return _mm_and_si128(high ? _mm_srli_epi16(x, 4) : x, _mm_set1_epi8(15));
}
// the sums of four vectors behind one another
inline __m128i four_sums(const i32x8* a) {
    const i32x8 s = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
    return _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
}

inline float sum(f32x8 x) {
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
inline float largest(f32x8 x) {
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

// e^x for x <= 0: Cody-Waite reduction, a polynomial of degree 5, relative error below 3e-7; below -87 nought.
inline f32x8 exponential(f32x8 x) {
    const f32x8 low = _mm256_set1_ps(-87.0f);
    const f32x8 gone = _mm256_cmp_ps(x, low, _CMP_LT_OQ);
    x = _mm256_max_ps(x, low);
    const f32x8 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), 8);
    f32x8 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    f32x8 y = _mm256_set1_ps(1.9875691500e-4f);
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.3981999507e-3f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(8.3334519073e-3f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(4.1665795894e-2f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.6666665459e-1f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(5.0000001201e-1f));
    y = _mm256_fmadd_ps(y, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
    const i32x8 e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_andnot_ps(gone, _mm256_mul_ps(y, _mm256_castsi256_ps(e)));
}

}  // namespace ctxeng
