// What memory costs: the bytes that a program has from malloc, those of its bookkeeping included.
#pragma once
#include <malloc.h>

#include <cstddef>

namespace weft::bench {

/// All arenas together, and large blocks that are mapped apart. What a thread keeps at hand to allocate again (a few
/// KiB) counts as used. Threads: no other one allocates meanwhile, or the figure is vague.
[[nodiscard]] inline std::size_t heap_bytes() noexcept {
    const auto heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

} // namespace weft::bench
