#pragma once
// What every log line of a request says beside its message: fields that travel in the context.
//
//   const auto fields = weft::with_request_fields({{"request.id", id}});   // Where a request begins.
//   const auto inner = weft::with_fields({{"step", "checkout"}});          // For a scope inside of it.
//   weft::add_field("user.id", user);                                      // Known after login: from now on.
//
// Three layers, each over the one before: what the request began with, what was added late, what inner scopes set.
// Scopes belong to a chain and what it spawns meanwhile, and end. Late fields belong to the request: one set, shared by
// every chain that inherited it, on whatever thread; only added to; gone with the last chain of the request. So a line
// of the handler sees what a middleware's child has found out, and no line of another request does.
//
// E1  add_field exchanges the head (release) -> a reader loads it (acquire): the bytes of the field are visible.

#include <weft/runtime/with.hpp>
#include <weft/signals/attribute.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace weft {

/// Bounds on the fields of one context. What goes over is discarded and counted.
struct FieldLimits {
    static constexpr std::uint32_t count = 128;           ///< Fields that scopes set.
    static constexpr std::uint32_t late_count = 64;       ///< Fields added late, repeated keys too.
    static constexpr std::uint32_t bytes = 16 * 1024;     ///< Of all that scopes set, encoded.
    static constexpr std::uint32_t late_bytes = 4 * 1024; ///< Of one late field, encoded.
};

namespace detail {

/// One late field, immutable once it is in.
struct LateField {
    const LateField* older;
    std::uint32_t size;
    [[nodiscard]] const std::byte* bytes() const noexcept {
        return reinterpret_cast<const std::byte*>(this + 1);
    }
};

struct FieldScope;

/// What one encoded field is: KeyValue.key, and the bytes of its AnyValue.
struct EncodedLogField {
    std::string_view key;
    std::span<const std::byte> value;
    std::span<const std::byte> whole; ///< With tag and length: an `attributes` field of LogRecord.
};
/// Reads the field at the front of `bytes`, which are weft's own, and takes it off.
[[nodiscard]] EncodedLogField take_field(std::span<const std::byte>& bytes) noexcept;

} // namespace detail

/// The fields of a context, as they were when it was asked for: a snapshot that owns what it shows. Encoded as
/// `attributes` fields of OTLP's LogRecord, tag and length included, so that a logger copies and does not encode.
/// Threads: any.
class Fields {
public:
    Fields() noexcept = default;

    [[nodiscard]] bool empty() const noexcept;
    /// How many were discarded: by a limit, an empty key, or for want of memory.
    [[nodiscard]] std::uint32_t dropped() const noexcept;

    /// Calls `visit(std::span<const std::byte>)` with pieces that in turn hold every field, each key once. Without late
    /// fields, that is one piece.
    template <class Visit>
    void for_each_block(Visit&& visit) const {
        if (late_ == nullptr) {
            if (const auto all = scoped(); !all.empty()) { visit(all); }
            return;
        }
        for_each_field([&](const detail::EncodedLogField& field) { visit(field.whole); });
    }
    /// Calls `visit(std::string_view key, std::span<const std::byte> value)` for every field, each key once; the value
    /// is an encoded AnyValue.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for_each_field(
            [&](const detail::EncodedLogField& field) { visit(field.key, field.value); });
    }

private:
    friend Fields current_fields() noexcept;

    [[nodiscard]] std::span<const std::byte> scoped() const noexcept; // The request's, then inner.
    [[nodiscard]] std::size_t inner_at() const noexcept;              // Where the inner ones begin.
    [[nodiscard]] bool is_hidden(
        const detail::LateField& late, std::string_view key) const noexcept;
    [[nodiscard]] bool has_late(std::string_view key) const noexcept;

    template <class Visit>
    void for_each_field(Visit&& visit) const {
        const auto all = scoped();
        const auto of_inner = inner_at();
        for (auto left = all.first(of_inner); !left.empty();) { // Ends: each turn takes one off.
            const auto field = detail::take_field(left);
            if (!has_late(field.key)) { visit(field); }
        }
        for (const auto* late = late_; late != nullptr; late = late->older) {
            std::span<const std::byte> bytes(late->bytes(), late->size);
            const auto field = detail::take_field(bytes);
            if (!is_hidden(*late, field.key)) { visit(field); }
        }
        for (auto left = all.subspan(of_inner); !left.empty();) { // Ends: as above.
            visit(detail::take_field(left));
        }
    }

    std::shared_ptr<const detail::FieldScope> scope_;
    const detail::LateField* late_ = nullptr; // The newest then; lives as long as scope_.
};

/// Begins the fields of a request, for a scope: they come over those of the context around it (a service's own, say),
/// and what `add_field` adds inside is this request's alone. Values are limited and repaired like a span's attributes;
/// of equal keys the last wins. Without memory, and outside of any context, it sets nothing.
/// Cost: a few small allocations. Lifetime: what `fields` refer to is copied.
[[nodiscard]] ContextScope with_request_fields(std::span<const Attribute> fields) noexcept;
[[nodiscard]] inline ContextScope with_request_fields(
    std::initializer_list<Attribute> fields) noexcept {
    return with_request_fields(std::span<const Attribute>(fields.begin(), fields.size()));
}

/// Adds fields for a scope, in this chain and those spawned meanwhile; an inner scope's win over all others. Where no
/// request has begun, this begins one. Otherwise as with_request_fields.
[[nodiscard]] ContextScope with_fields(std::span<const Attribute> fields) noexcept;
[[nodiscard]] inline ContextScope with_fields(std::initializer_list<Attribute> fields) noexcept {
    return with_fields(std::span<const Attribute>(fields.begin(), fields.size()));
}

/// Adds a field to the request that the running chain belongs to: later lines of all its chains have it, also of those
/// that were spawned before and of the scopes around. Of equal keys the last added wins. False when there is no request
/// (no with_fields around), and when it was discarded. Threads: any, several at once.
/// Cost: one allocation. Source: none; ours.
bool add_field(std::string_view key, const AttributeValue& value) noexcept;

/// The fields of the running chain. Threads: any. Cost: a look-up and one atomic increment; without fields, a few loads.
[[nodiscard]] Fields current_fields() noexcept;

} // namespace weft
