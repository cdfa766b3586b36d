// Threads that sleep until there is work; none of them ever spins.
#pragma once
#include <cstdint>
#include <functional>

namespace ctxeng {

// work(i) for every i below `count`, on at most so many threads, this one included; returns when all is done.
// While another thread of the program is in here, the work is done by this one alone. Survives a fork.
void parallel(int threads, int64_t count, const std::function<void(int64_t)>& work);

}  // namespace ctxeng
