#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::detail {

/// One line a frame, `#0 load_order(int)+0x1f (shop+0x12ab)`, as many as fit, whole; then how many did not.
/// Functions come from the symbol tables of the program and its libraries, those that nobody exports included; without
/// one, as in a stripped program, the line says `??` and the place in the module stays.
/// Threads: any. Cost: a lock; the first frame in a module reads its symbol table from disk and keeps it.
std::size_t write_stack(
    std::span<const std::uintptr_t> frames, char* out, std::size_t size) noexcept;

} // namespace weft::detail
