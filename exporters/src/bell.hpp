#pragma once
#include "progress.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <utility>

namespace weft::detail {

/// Wakes a drain's loop, and whoever waits for what the loop brings about. Shared with sends under way, which may outlast
/// the drain.
/// Threads: the executor's, which must not run two handlers at once.
struct Bell {
    explicit Bell(asio::any_io_executor executor)
        : timer(executor), progress(std::move(executor)) {}

    /// The loop looks again.
    void ring() {
        rung = true;
        timer.cancel();
    }

    asio::steady_timer timer; // The loop's.
    Progress progress;        // For flushes that wait, and whoever wants room.
    bool rung = false;        // While the loop was not waiting.
};

} // namespace weft::detail
