#pragma once
#include <weft/exporters/drop_reason.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace weft {

/// Where every span, metric point or log record of one signal is. At any time
/// `created = exported + rejected + sum(dropped) + queued + in_flight + spooled`.
/// `created` is counted where records are accepted or refused, the right-hand side where they go.
struct Ledger {
    std::uint64_t created = 0;  ///< Those that ended or were collected, whatever became of them.
    std::uint64_t exported = 0; ///< Accepted by the receiver.
    std::uint64_t rejected = 0; ///< Refused by the receiver in an otherwise accepted request.
    std::array<std::uint64_t, drop_reason_count> dropped{}; ///< By DropReason.
    std::uint64_t queued = 0;                               ///< In a ring or in a batch that waits.
    std::uint64_t in_flight = 0;                            ///< In a request, retries included.
    std::uint64_t spooled =
        0; ///< On disk, or after a shutdown in a durable ring: for the next start.

    [[nodiscard]] std::uint64_t dropped_total() const noexcept {
        std::uint64_t total = 0;
        for (const auto count : dropped) { total += count; }
        return total;
    }
    [[nodiscard]] bool is_balanced() const noexcept {
        return created == exported + rejected + dropped_total() + queued + in_flight + spooled;
    }
    /// One JSON object on one line; `dropped` holds the reasons that occurred.
    [[nodiscard]] std::string to_json() const;
};

/// What a flush or a shutdown achieved by its deadline, counted from the call on.
struct FlushReport {
    bool complete =
        false; ///< Everything that had ended before the call is exported, rejected or dropped.
    std::uint64_t exported = 0;
    std::uint64_t rejected = 0;
    std::uint64_t dropped = 0;
    std::uint64_t pending = 0; ///< Still queued or in flight when it returned.
    std::uint64_t spooled = 0; ///< On disk then: the next start goes on with it.
};

/// What happened between two looks at a ledger.
[[nodiscard]] FlushReport report_since(
    const Ledger& before, const Ledger& after, bool complete) noexcept;

} // namespace weft
