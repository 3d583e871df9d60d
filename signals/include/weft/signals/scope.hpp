#pragma once
#include <weft/signals/attribute.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
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

/// The resource of another process, whose records go through this one.
struct ForeignResource {
    std::string message; ///< Resource, encoded.
    std::string schema_url;
};

/// Lifetime: for ever.
struct EncodedScope {
    std::string_view message;                  ///< InstrumentationScope, encoded.
    std::string_view schema_url;               ///< Plain text.
    const ForeignResource* resource = nullptr; ///< Null: this process's own.
};
/// Errors: std::bad_alloc, in a process that has registered no scope before.
[[nodiscard]] EncodedScope encoded_scope(std::uint16_t index);

/// As register_scope, for a scope of another process; nothing at the limit. Errors: std::bad_alloc.
[[nodiscard]] std::optional<std::uint16_t> register_foreign_scope(
    std::string_view message, std::string_view schema_url, const ForeignResource& resource);
/// Lifetime of the result: for ever. Equal ones are one. Errors: std::bad_alloc.
[[nodiscard]] const ForeignResource& keep_foreign_resource(const ForeignResource& resource);

/// Is told of this process's own scopes, each before a record can name it. Threads: whichever registers, one at a time.
struct ScopeListener {
    void (*told)(void* subject, std::uint16_t index, const EncodedScope& scope) noexcept = nullptr;
    void* subject = nullptr;
    ScopeListener* next = nullptr; // The table's.
    bool is_listed = false;        // As above.
};
/// Tells of all there are at once, also on a second call. Lifetime: `listener` until it is forgotten.
/// Errors: std::bad_alloc, in a process that has registered no scope before.
void listen_to_scopes(ScopeListener& listener);
void forget_scope_listener(ScopeListener& listener) noexcept;

} // namespace detail
} // namespace weft
