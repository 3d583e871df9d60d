#pragma once
#include <weft/exporters/sink.hpp>
#include <weft/exporters/spool.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace weft {

/// Told of each batch once it is settled, all retries included, on the drain's executor: for measurements. Must not throw.
using BatchSettled = std::function<void(std::int64_t elapsed_ns, const SendOutcome&)>;

/// One of the places that a signal's batches go to. Each has a queue, sends and a ledger of its own, so that one that is
/// slow or dead takes nothing from the others.
struct DestinationSetup {
    std::string name{};           ///< In ledgers and messages. Unique among those of a drain.
    std::shared_ptr<Sink> sink{}; ///< At most `Sink::connections` sends at one time.
    /// Most bytes of batches that wait for the sink; the last may exceed it. 1 KiB to 1 GiB.
    std::size_t waiting_bytes_max = 4u << 20;
    /// What gives way when a batch finds no room here while another destination has: that batch, or what has waited
    /// longest. While none has room, nobody loses anything: the rings are left to fill.
    WhenFull when_full = WhenFull::drop_newest;
    /// Whether a batch is for this destination; others are counted as DropReason::filtered. Empty: all are. It runs on the
    /// drain's executor and must not block; a batch for which it throws is let through.
    std::function<bool(const Batch&)> filter{};
    BatchSettled settled{};
    /// Batches are written to it before they are sent, and leave it once they are settled; what has to wait, waits there.
    /// Those that a send gives up on for the time being (retry_exhausted, shutdown) stay and are sent again. One that it has
    /// no room for waits in memory like any other. Null: none. It is given up with the shutdown.
    std::shared_ptr<Spool> spool{};
    /// From a send that was given up until the next, but for a flush. 1 ms to a day.
    std::chrono::milliseconds resend_after{5000};
};

} // namespace weft
