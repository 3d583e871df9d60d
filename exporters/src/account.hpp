#pragma once
#include <weft/exporters/drop_reason.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace weft::detail {

/// Where one destination's records are, from the moment the drain takes them off the queue. Counts are of items, and
/// move together: at every unlock, consumed + resumed = exported + rejected + sum(dropped) + pending + in_flight + spooled.
/// Threads: any; a ledger is read anywhere.
class Account {
public:
    struct Counts {
        std::uint64_t consumed = 0;
        std::uint64_t resumed = 0; ///< Found on disk at the start.
        std::uint64_t pending =
            0; ///< Waiting for a decision, in the builder, or waiting to be sent.
        std::uint64_t in_flight = 0;
        std::uint64_t spooled = 0;
        std::uint64_t exported = 0;
        std::uint64_t rejected = 0;
        std::array<std::uint64_t, drop_reason_count> dropped{};

        void drop(std::uint64_t records, DropReason reason) noexcept {
            dropped[static_cast<std::size_t>(reason)] += records;
        }
    };

    /// Counts change in here, together.
    template <class Change>
    void change(Change&& how) {
        const std::lock_guard lock(mutex_);
        how(counts_);
    }
    [[nodiscard]] Counts read() const {
        const std::lock_guard lock(mutex_);
        return counts_;
    }

private:
    mutable std::mutex mutex_; // Guards counts_.
    Counts counts_;
};

} // namespace weft::detail
