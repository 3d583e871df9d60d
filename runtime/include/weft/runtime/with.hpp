#pragma once
// What a chain carries beside its current span: baggage, a deadline, suppression. Set for a scope by `weft::with`,
// inherited by every chain that is spawned meanwhile, read by whoever needs it.
//
//   const auto scope = weft::with(weft::current_baggage().set("tenant", "acme"));
//   const auto hurry = weft::with(weft::Deadline::in(std::chrono::seconds(2)));
//   const auto quiet = weft::with(weft::suppress_telemetry);

#include <weft/runtime/baggage.hpp>
#include <weft/runtime/context.hpp>

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstddef>
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
    ContextScope() noexcept;
    explicit ContextScope(Baggage&& baggage) noexcept;
    explicit ContextScope(Deadline deadline) noexcept;
    explicit ContextScope(SuppressTelemetry) noexcept;

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

/// The baggage that came with the request, or that `with` set. Threads: any. Cost: a few loads and at most one atomic
/// increment. Source: OpenTelemetry Baggage API, "Context Interaction".
[[nodiscard]] Baggage current_baggage() noexcept;
/// The nearest deadline; not set by default. Threads: any.
[[nodiscard]] Deadline current_deadline() noexcept;

} // namespace weft
