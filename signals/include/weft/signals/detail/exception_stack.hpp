#pragma once
#include <atomic>
#include <cstddef>
#include <typeinfo>

namespace weft::detail {

/// Writes where the exception at `object` was thrown, one line a frame; returns the bytes written, 0 if it is not known.
using ExceptionStackFunction = std::size_t (*)(
    const void* object, const std::type_info& type, char* out, std::size_t size) noexcept;

// Set by weft::throw_traces before main, or when it is loaded; null without it. relaxed both: it points at code.
inline constinit std::atomic<ExceptionStackFunction> exception_stack{nullptr};

} // namespace weft::detail
