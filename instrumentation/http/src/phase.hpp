#pragma once
#include <cstdint>

namespace weft::http::detail {

/// What a connection is doing, as its watchdog sees it. Packed with the tick at which that has taken too long, so
/// that one atomic word says both: `expiry tick << 4 | phase`.
enum class Phase : std::uint8_t {
    resting,  // No limit.
    idle,     // Waits for the first byte of a request.
    header,   // Reads a header.
    body,     // Reads a body.
    handler,  // Waits for a handler; the connection touches the socket no more until it is done.
    write,    // Writes an answer.
    linger,   // Has said all and waits for the other side to close.
    connect,  // Client: connects.
    exchange, // Client: waits for an answer.
    expired,  // The watchdog or a stop was faster. Final.
};

[[nodiscard]] constexpr Phase phase_of(std::uint64_t word) noexcept {
    return static_cast<Phase>(word & 15);
}
[[nodiscard]] constexpr std::uint64_t tick_of(std::uint64_t word) noexcept { return word >> 4; }
[[nodiscard]] constexpr std::uint64_t phase_word(Phase phase, std::uint64_t tick) noexcept {
    return (tick << 4) | static_cast<std::uint64_t>(phase);
}
inline constexpr std::uint64_t never = ~std::uint64_t{0} >> 4;

} // namespace weft::http::detail
