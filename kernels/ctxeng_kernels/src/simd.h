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
inline f32x8 everywhere(const float* p) { return _mm256_broadcast_ss(p); }
inline f32x8 loadu(const float* p) { return _mm256_loadu_ps(p); }
inline f32x8 halves(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
inline float one_half(uint16_t x) { return _cvtsh_ss(x); }
inline void store(float* p, f32x8 x) { _mm256_store_ps(p, x); }
inline void storeu(float* p, f32x8 x) { _mm256_storeu_ps(p, x); }
inline void store_halves(uint16_t* p, f32x8 x) { _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(x, 0)); }
inline f32x8 rounded_to_half(f32x8 x) { return _mm256_cvtph_ps(_mm256_cvtps_ph(x, 0)); }
inline uint16_t half_of(f32x8 x) { return static_cast<uint16_t>(_mm_extract_epi16(_mm256_cvtps_ph(x, 0), 0)); }
inline f32x8 nearest(f32x8 x) { return _mm256_round_ps(x, 8); }  // halves to the even neighbour
inline f32x8 fma(f32x8 a, f32x8 b, f32x8 c) { return _mm256_fmadd_ps(a, b, c); }
inline f32x8 larger(f32x8 a, f32x8 b) { return _mm256_max_ps(a, b); }
inline f32x8 smaller(f32x8 a, f32x8 b) { return _mm256_min_ps(a, b); }
inline f32x8 absolute(f32x8 x) { return _mm256_andnot_ps(all(-0.0f), x); }
inline f32x8 floats(i32x8 x) { return _mm256_cvtepi32_ps(x); }
inline f32x8 unordered(f32x8 x) { return _mm256_cmp_ps(x, x, _CMP_UNORD_Q); }
inline f32x8 either(f32x8 a, f32x8 b) { return _mm256_or_ps(a, b); }
inline bool any(f32x8 x) { return _mm256_movemask_ps(x) != 0; }

// eight numbers of a dense row: single, bfloat16 (its own type here), half
struct bf16 {
    uint16_t bits;
};
struct fp16 {
    uint16_t bits;
};
inline f32x8 eight(const float* p) { return loadu(p); }
inline f32x8 eight(const bf16* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16));
}
inline f32x8 eight(const fp16* p) { return halves(&p->bits); }

inline i32x8 zeros() { return _mm256_setzero_si256(); }
inline i32x8 rounded(f32x8 x) { return _mm256_cvtps_epi32(x); }
inline i32x8 add(i32x8 a, i32x8 b) { return _mm256_add_epi32(a, b); }
inline void store(int16_t* p, i32x8 x) { _mm256_store_si256((__m256i*)p, x); }
inline void store(float* p, __m128 x) { _mm_store_ps(p, x); }
inline i32x8 shorts(const int16_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
inline i32x8 narrowed(i32x8 a, i32x8 b) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8); }
// eight whole numbers -> eight bytes, cut off at what a byte can say
inline void store_bytes(int8_t* p, i32x8 x) {
    const __m128i y = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64((__m128i*)p, _mm_packs_epi16(y, y));
}
// 32 whole numbers from 0 on -> 32 bytes
inline void store_bytes(uint8_t* p, i32x8 a, i32x8 b, i32x8 c, i32x8 d) {
    const i32x8 x = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    const i32x8 order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((__m256i*)p, _mm256_permutevar8x32_epi32(x, order));
}
// 16 signed bytes -> 16 shorts
inline i32x8 widened(__m128i x) { return _mm256_cvtepi8_epi16(x); }
inline __m128i bytes(const void* p) { return _mm_loadu_si128((const __m128i*)p); }
// sum + the products of neighbouring shorts
inline i32x8 dot(i32x8 sum, i32x8 a, i32x8 b) { return add(sum, _mm256_madd_epi16(a, b)); }
inline i32x8 four_shorts(const int16_t* p) {  // four shorts, four times
    int64_t all_four;
    std::memcpy(&all_four, p, sizeof all_four);
    return _mm256_set1_epi64x(all_four);
}
inline i32x8 four_times(const void* p) {  // four bytes, eight times
    int32_t both;
    std::memcpy(&both, p, sizeof both);
    return _mm256_set1_epi32(both);
}
// sum + the products of neighbouring bytes, u without a sign; 16 bits
inline i32x8 dot_bytes(i32x8 sum, i32x8 u, i32x8 s) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(u, s)); }
// sum + neighbouring shorts
inline i32x8 add_shorts(i32x8 sum, i32x8 x) { return dot(sum, x, _mm256_set1_epi16(1)); }
inline i32x8 more_bytes(const void* p) { return _mm256_loadu_si256((const __m256i*)p); }
inline i32x8 spread(__m128i x) { return _mm256_cvtepu8_epi16(x); }
// codes of bytes spread to shorts: those in the low bits, those in the high ones
inline i32x8 low_codes(i32x8 shorts) { return _mm256_and_si256(shorts, _mm256_set1_epi16(15)); }
inline i32x8 high_codes(i32x8 shorts) { return _mm256_srli_epi16(shorts, 4); }
// the same of bytes
inline i32x8 low_bytes(i32x8 x) { return _mm256_and_si256(x, _mm256_set1_epi8(15)); }
inline i32x8 high_bytes(i32x8 x) { return low_bytes(_mm256_srli_epi16(x, 4)); }
inline i32x8 less_eight(i32x8 x) { return _mm256_sub_epi8(x, _mm256_set1_epi8(8)); }
// neighbours added up: four sums of a, then four of b
inline i32x8 neighbours(i32x8 a, i32x8 b) { return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8); }

// the sums of four vectors behind one another
inline __m128 four_sums(const f32x8* a) {
    const f32x8 s = _mm256_hadd_ps(_mm256_hadd_ps(a[0], a[1]), _mm256_hadd_ps(a[2], a[3]));
    return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}
// [8 rows][4] at `from` -> four vectors of 8 rows
inline void turned(const float* from, f32x8* to) {
    f32x8 a[4];
    for (int i = 0; i < 4; i++)
        a[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_load_ps(from + 4 * i)), _mm_load_ps(from + 4 * i + 16), 1);
    const f32x8 x = _mm256_unpacklo_ps(a[0], a[1]), y = _mm256_unpacklo_ps(a[2], a[3]);
    const f32x8 z = _mm256_unpackhi_ps(a[0], a[1]), w = _mm256_unpackhi_ps(a[2], a[3]);
    to[0] = _mm256_shuffle_ps(x, y, 0x44);
    to[1] = _mm256_shuffle_ps(x, y, 0xee);
    to[2] = _mm256_shuffle_ps(z, w, 0x44);
    to[3] = _mm256_shuffle_ps(z, w, 0xee);
}

// the larger of numbers >= 0 by their bits: infinity and NaN are larger than all others, and not lost
inline f32x8 larger_of_all(f32x8 a, f32x8 b) {
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}
inline float largest_of_all(f32x8 x) {
    __m128i y = _mm_max_epi32(_mm_castps_si128(_mm256_castps256_ps128(x)), _mm_castps_si128(_mm256_extractf128_ps(x, 1)));
    y = _mm_max_epi32(y, _mm_shuffle_epi32(y, 0x4e));
    y = _mm_max_epi32(y, _mm_shuffle_epi32(y, 0xb1));
    return _mm_cvtss_f32(_mm_castsi128_ps(y));
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

// e^x for x <= 0: Cody-Waite reduction, a polynomial of degree 5, relative error below 3e-7; below -87 nought, NaN stays.
inline f32x8 exponential(f32x8 x) {
    const f32x8 low = _mm256_set1_ps(-87.0f);
    const f32x8 gone = _mm256_cmp_ps(x, low, _CMP_LT_OQ);
    x = _mm256_max_ps(low, x);  // of a NaN the second
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
