#pragma once
// What a chain carries beside its current span: baggage, a deadline, suppression, values under keys of the program's
// own. Set for a scope by `weft::with`, inherited by every chain that is spawned meanwhile, read by whoever needs it.
//
//   const auto scope = weft::with(weft::current_baggage().set("tenant", "acme"));
//   const auto hurry = weft::with(weft::Deadline::in(std::chrono::seconds(2)));
//   const auto quiet = weft::with(weft::suppress_telemetry);
//   const auto who = weft::with(tenant_key, Tenant{...});

#include <weft/runtime/baggage.hpp>
#include <weft/runtime/context.hpp>

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {

/// Until when the work is worth doing. Nested deadlines never extend each other. Steady time.
struct Deadline {
    std::chrono::steady_clock::time_point at = std::chrono::steady_clock::time_point::max();

    [[nodiscard]] static Deadline in(std::chrono::nanoseconds from_now) noexcept {
        const auto now = std::chrono::steady_clock::now();
        const auto most = std::chrono::steady_clock::time_point::max() - now;
        return {now + std::min<std::chrono::nanoseconds>(from_now, most)};
    }
    [[nodiscard]] bool is_set() const noexcept {
        return at != std::chrono::steady_clock::time_point::max();
    }
    friend auto operator<=>(const Deadline&, const Deadline&) noexcept = default;
};

/// For `with`: nothing started in this chain is recorded, for the telemetry of telemetry. Spans that are already open
/// are not affected.
struct SuppressTelemetry {};
inline constexpr SuppressTelemetry suppress_telemetry{};

/// Names a value that the program itself puts into the context. The object is the key, whatever its name.
/// Lifetime: of a constant at namespace scope: `inline constexpr weft::ContextKey<Tenant> tenant_key("tenant");`
/// Source: OpenTelemetry Context, "Create a key".
template <class T>
class ContextKey {
public:
    constexpr explicit ContextKey(std::string_view name) noexcept : name_(name) {}
    ContextKey(const ContextKey&) = delete;
    ContextKey& operator=(const ContextKey&) = delete;
    /// For people: nothing is looked up by it.
    [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }

private:
    std::string_view name_;
};

class ContextScope;

namespace detail {

inline constexpr std::size_t context_entries_max =
    64; // Keys at one time; further ones are not set.

/// Puts a value under a key for a scope. The type is the key's affair. Null removes.
[[nodiscard]] ContextScope with_entry(const void* key, std::shared_ptr<const void> value) noexcept;
[[nodiscard]] std::shared_ptr<const void> current_entry(const void* key) noexcept;

} // namespace detail

/// While alive, the running chain carries what `with` was given; then again what it carried before.
/// Threads: create and destroy in the same chain, the last first. Anything else is healed and counted, see
/// docs/context.md, "Misuse". It can be neither moved nor made with `new`.
class [[nodiscard]] ContextScope {
public:
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;
    static void* operator new(std::size_t) = delete;
    static void* operator new[](std::size_t) = delete;
    ~ContextScope();

private:
    friend ContextScope with(Baggage baggage) noexcept;
    friend ContextScope with(Deadline deadline) noexcept;
    friend ContextScope with(SuppressTelemetry) noexcept;
    friend ContextScope detail::with_entry(const void*, std::shared_ptr<const void>) noexcept;
    ContextScope() noexcept;
    explicit ContextScope(Baggage&& baggage) noexcept;
    explicit ContextScope(Deadline deadline) noexcept;
    explicit ContextScope(SuppressTelemetry) noexcept;
    ContextScope(const void* key, std::shared_ptr<const void>&& value) noexcept;

    detail::SlotHandle handle_;
    void leave(detail::ContextSlot& slot) noexcept;

    detail::ContextValuesRef set_; // Empty: nothing was set but suppression.
    bool suppresses_ = false;
};

/// Sets one of them for a scope. Without memory, and outside of any context, it sets nothing.
/// Cost: one small allocation; none for `suppress_telemetry`.
inline ContextScope with(Baggage baggage) noexcept { return ContextScope(std::move(baggage)); }
inline ContextScope with(Deadline deadline) noexcept { return ContextScope(deadline); }
inline ContextScope with(SuppressTelemetry) noexcept { return ContextScope(suppress_telemetry); }

/// Sets the value of a key for a scope: what `current` finds is shared and const. Without memory, outside of any
/// context, when moving `value` throws, and beyond 64 keys, it sets nothing. Cost: three small allocations.
/// Source: OpenTelemetry Context, "Set value".
template <class T>
ContextScope with(const ContextKey<T>& key, std::type_identity_t<T> value) noexcept {
    try {
        return detail::with_entry(&key, std::make_shared<const T>(std::move(value)));
    } catch (...) { return detail::with_entry(nullptr, nullptr); }
}
/// The innermost value of a key, or null. Threads: any; the value is shared by every chain that inherited it.
/// Source: OpenTelemetry Context, "Get value".
template <class T>
[[nodiscard]] std::shared_ptr<const T> current(const ContextKey<T>& key) noexcept {
    return std::static_pointer_cast<const T>(detail::current_entry(&key));
}

/// The baggage that came with the request, or that `with` set. Threads: any. Cost: a few loads and at most one atomic
/// increment. Source: OpenTelemetry Baggage API, "Context Interaction".
[[nodiscard]] Baggage current_baggage() noexcept;
/// The nearest deadline; not set by default. Threads: any.
[[nodiscard]] Deadline current_deadline() noexcept;

} // namespace weft
