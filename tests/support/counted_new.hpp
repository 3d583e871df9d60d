#pragma once
#include <cstdint>

namespace weft::testing {

/// Calls of `operator new`, of any form, by this thread so far. The binary has counted_new.cpp among its sources.
[[nodiscard]] std::uint64_t allocations() noexcept;

} // namespace weft::testing
