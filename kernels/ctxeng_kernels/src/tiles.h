// Rows in tiles of four: the height that the kernels are unrolled to.
#pragma once
#include <type_traits>

#include "softmax.h"

namespace ctxeng {

// run(std::integral_constant<int, H>, first) for tiles of H of the rows, beginning with row `first`
template <class Run>
void by_fours(int64_t rows, const Run& run) {
    for (int64_t first = 0; first < rows; first += HEADS) {
        const int64_t left = rows - first;
        if (left >= 4) run(std::integral_constant<int, 4>{}, first);
        if (left == 3) run(std::integral_constant<int, 3>{}, first);
        if (left == 2) run(std::integral_constant<int, 2>{}, first);
        if (left == 1) run(std::integral_constant<int, 1>{}, first);
    }
}

}  // namespace ctxeng
