// How fast this machine reads.
#pragma once
#include <cstdint>

extern "C" int64_t ctxeng_read(const void* from, int64_t count, int64_t threads);
