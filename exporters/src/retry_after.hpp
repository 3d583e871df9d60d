#pragma once
#include <chrono>
#include <optional>
#include <string_view>

namespace weft::detail {

/// Longest wait that a Retry-After can ask for; more is cut to this.
inline constexpr std::chrono::seconds retry_after_max = std::chrono::hours(24);

/// Reads a Retry-After value: a count of seconds, or an HTTP-date in any of the three forms that a
/// recipient must accept. Answers how long to wait from `now` on: 0 for a moment that has passed,
/// at most `retry_after_max`, rounded up to whole seconds; nullopt if it is neither form.
/// Source: RFC 9110, "Retry-After", "Date/Time Formats".
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(
    std::string_view value, std::chrono::system_clock::time_point now) noexcept;

} // namespace weft::detail
