#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace weft {

/// The kinds of telemetry that travel separately, each with its own queue, endpoint and ledger.
enum class Signal : std::uint8_t { traces, metrics, logs };

inline constexpr std::array<Signal, 3> all_signals{Signal::traces, Signal::metrics, Signal::logs};

/// "traces", "metrics" or "logs", as in endpoint paths and messages.
[[nodiscard]] constexpr std::string_view name(Signal signal) noexcept {
    switch (signal) {
    case Signal::traces:
        return "traces";
    case Signal::metrics:
        return "metrics";
    case Signal::logs:
        return "logs";
    }
    return "unknown";
}

} // namespace weft
