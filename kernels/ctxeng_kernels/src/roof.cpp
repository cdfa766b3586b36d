// How fast this machine reads: what any kernel is measured against.
#include "roof.h"

#include <atomic>

#include "simd.h"
#include "threads.h"

// Read so many bytes once, as eight streams side by side on each thread; their sum, so that nothing is left out.
// `from` is aligned to 64 bytes, and the rest of a division by 512 * threads is not read.
int64_t ctxeng_read(const void* from, int64_t count, int64_t threads) {
    using namespace ctxeng;
    constexpr int STREAMS = 8;
    std::atomic<int64_t> all_of_it{0};
    const int64_t share = count / (64 * STREAMS * threads) * 64 * STREAMS, stream = share / STREAMS;
    parallel(static_cast<int>(threads), threads, [&](int64_t part) {
        const char* start = static_cast<const char*>(from) + part * share;
        i32x8 sums[STREAMS] = {};
        for (int64_t i = 0; i < stream; i += 64)
            for (int s = 0; s < STREAMS; s++) {
                const char* p = start + s * stream + i;
                sums[s] = add(sums[s], add(more_bytes(p), more_bytes(p + 32)));
            }
        for (int s = 1; s < STREAMS; s++) sums[0] = add(sums[0], sums[s]);
        all_of_it += static_cast<int64_t>(sum(floats(sums[0])));
    });
    return all_of_it;
}
