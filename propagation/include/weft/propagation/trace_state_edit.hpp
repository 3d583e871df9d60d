#pragma once
#include <weft/runtime/error.hpp>
#include <weft/runtime/trace_state.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

/// Reading and changing members of a tracestate. A TraceState is immutable: each change gives a new one.
/// Source: W3C Trace Context level 2, "Mutating the tracestate Field".
namespace weft::w3c {

/// The value of the member with this key. Lifetime: points into `state`. Cost: no allocation.
[[nodiscard]] std::optional<std::string_view> find_member(
    const TraceState& state, std::string_view key) noexcept;

/// `state` with the member set to the value and moved to the front; the order of the others stays. Where that makes
/// more than 32 members, the last one is dropped.
/// Errors: header_malformed if key or value breaks the grammar; `state` is not changed then.
[[nodiscard]] Result<TraceState> with_member(
    const TraceState& state, std::string_view key, std::string_view value) noexcept;

/// `state` without the member; the same state if there is none.
[[nodiscard]] TraceState without_member(const TraceState& state, std::string_view key) noexcept;

/// `state` cut to at most `chars_max` characters by whole members: first those longer than 128 characters, from
/// the end, then any, from the end. Every receiver should accept 512.
[[nodiscard]] TraceState shortened(const TraceState& state, std::size_t chars_max) noexcept;

} // namespace weft::w3c
