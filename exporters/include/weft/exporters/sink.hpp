#pragma once
// Where finished batches go. The drain knows no more of a destination than this.

#include <weft/exporters/batch.hpp>
#include <weft/exporters/drop_reason.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace weft {

namespace asio = boost::asio;

/// What became of a batch. `exported + rejected + dropped` is always its number of records.
struct SendOutcome {
    std::uint64_t exported = 0;
    std::uint64_t rejected = 0; ///< Refused by the receiver in an otherwise accepted request.
    std::uint64_t dropped = 0;  ///< All or nothing, but for a batch that was sent in parts.
    DropReason reason =
        DropReason::none; ///< Why `dropped` is not 0; of several, that of most records.
    int attempts = 0;     ///< Requests begun.
    int status = 0;       ///< The last HTTP status seen, 0 if none.
    /// For messages: the receiver's words, "http_<status>", or what the network said.
    std::string detail;
};

/// How a destination does.
enum class SinkState : std::uint8_t {
    working,
    parked,       ///< It said when it wants to be asked again.
    circuit_open, ///< It failed several times in a row: one request at a time asks whether it is back.
};

/// "working", "parked" or "circuit_open".
[[nodiscard]] constexpr std::string_view name(SinkState state) noexcept {
    switch (state) {
    case SinkState::working:
        return "working";
    case SinkState::parked:
        return "parked";
    case SinkState::circuit_open:
        return "circuit_open";
    }
    return "unknown";
}

/// A destination of finished batches.
/// Threads: `send` and `stop` run on the drain's executor, one handler at a time; they never block it.
class Sink {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    virtual ~Sink() = default;

    /// Brings one batch to its end, which the outcome tells; an exception counts as DropReason::internal_error. Asio
    /// cancellation ends it soon.
    [[nodiscard]] virtual asio::awaitable<SendOutcome> send(std::shared_ptr<const Batch> batch) = 0;

    /// From now on nothing is retried; what is under way has until `deadline`. Waits until no send is left. A second
    /// call may bring the deadline forward.
    [[nodiscard]] virtual asio::awaitable<void> stop(TimePoint deadline) = 0;

    /// Most batches worth sending at one time; at least 1, the same for the sink's life.
    [[nodiscard]] virtual std::size_t connections() const noexcept = 0;

    /// How the destination does at this moment. Threads: any.
    [[nodiscard]] virtual SinkState state() const noexcept { return SinkState::working; }
};

} // namespace weft
