#pragma once
#include <weft/signals/attribute.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weft {

/// Which library or part of a program makes the telemetry. Lifetime: copied where it is registered. Name and version
/// are cut at 4096 code points.
/// Source: OpenTelemetry glossary, "Instrumentation Scope".
struct InstrumentationScope {
    std::string_view name;
    std::string_view version{};
    std::string_view schema_url{};
    std::span<const Attribute> attributes{};
};

namespace detail {

/// The process's table of scopes: a record names its scope by a 16-bit index, a batch writes it once.
/// Entries live for ever; scope 0 is weft's own. At the limit of 65535, further ones become scope 0.
/// Threads: any. Cost: a mutex and a search; callers keep the index.
[[nodiscard]] std::uint16_t register_scope(const InstrumentationScope& scope) noexcept;

struct EncodedScope {
    std::string_view message;    ///< InstrumentationScope, encoded.
    std::string_view schema_url; ///< Plain text.
};
/// Errors: std::bad_alloc, in a process that has registered no scope before.
[[nodiscard]] EncodedScope encoded_scope(std::uint16_t index);

} // namespace detail
} // namespace weft
