#pragma once
#include <weft/exporters/sink.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace weft {

/// What a destination does with a batch it has no room for while another destination of the signal has. While none has
/// room, nobody loses anything: the rings are left to fill.
enum class WhenFull : std::uint8_t {
    drop_newest, ///< The batch is lost to it.
    drop_oldest, ///< What has waited longest is, until there is room.
};

/// Told of each batch once it is settled, all retries included, on the drain's executor: for measurements. Must not throw.
using BatchSettled = std::function<void(std::int64_t elapsed_ns, const SendOutcome&)>;

/// One of the places that a signal's batches go to. Each has a queue, sends and a ledger of its own, so that one that is
/// slow or dead takes nothing from the others.
struct DestinationSetup {
    std::string name{};           ///< In ledgers and messages. Unique among those of a drain.
    std::shared_ptr<Sink> sink{}; ///< At most `Sink::connections` sends at one time.
    /// Most bytes of batches that wait for the sink; the last may exceed it. 1 KiB to 1 GiB.
    std::size_t waiting_bytes_max = 4u << 20;
    WhenFull when_full = WhenFull::drop_newest;
    /// Whether a batch is for this destination; others are counted as DropReason::filtered. Empty: all are. It runs on the
    /// drain's executor and must not block; a batch for which it throws is let through.
    std::function<bool(const Batch&)> filter{};
    BatchSettled settled{};
};

} // namespace weft
