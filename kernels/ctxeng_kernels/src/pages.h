// Which pages or clusters of keys matter to some queries.
#pragma once
#include <cstdint>

extern "C" {

struct ctxeng_pages {
    int64_t kv_heads, rows, d;  // queries [kv_heads][rows][d]; d a multiple of 8
    int64_t pages, count;       // pages or clusters of each head, and how many of them are wanted
};

// bounds [kv_heads][pages][2][d], least and largest keys -> chosen [kv_heads][count], rising; count <= pages.
void ctxeng_best_pages(const ctxeng_pages*, const float* bounds, const float* q, int64_t threads, int64_t* chosen);

// centroids [kv_heads][pages][d] of so many keys each, those looked at -> the share of attention that a key of
// each has [kv_heads][pages]: exp(q . c) over the sum of size * exp(q . c), the largest of the queries.
void ctxeng_centroids(const ctxeng_pages*, const float* centroids, const float* sizes, const uint8_t* looked,
                      const float* q, int64_t threads, float* found);
}
