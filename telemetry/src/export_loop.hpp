#pragma once
#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <functional>
#include <future>

namespace weft::detail {

namespace asio = boost::asio;

/// Where a runtime's exports run: drains, sends, the watch for stop signals. One handler runs at a time, on whatever thread.
/// Threads: as each member says.
class ExportLoop {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    ExportLoop() = default;
    ExportLoop(const ExportLoop&) = delete;
    ExportLoop& operator=(const ExportLoop&) = delete;
    /// Ends the loop; what still waits in it is destroyed. Threads: none that `is_inside`.
    virtual ~ExportLoop() = default;

    /// Threads: any.
    [[nodiscard]] virtual asio::any_io_executor executor() noexcept = 0;
    /// Whether the calling thread is in one of the loop's handlers, and would wait for itself.
    [[nodiscard]] virtual bool is_inside() const noexcept = 0;
    /// Whether the loop, or the program's own, stands still while the calling thread waits.
    [[nodiscard]] virtual bool is_held_up_here() const noexcept = 0;
    /// Waits for something that the loop brings about. False at the deadline. Threads: none that `is_inside`.
    template <class T>
    [[nodiscard]] bool wait(const std::future<T>& future, TimePoint until) {
        drive(
            [&] { return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready; },
            until);
        if (until == TimePoint::max()) { // Beyond what wait_until can add up.
            future.wait();
            return true;
        }
        return future.wait_until(until) == std::future_status::ready;
    }
    /// In a forked child, which leaves the loop behind: from now on it does nothing there. Allocates nothing.
    virtual void abandon_in_child() noexcept {}

private:
    /// Runs the loop on the calling thread, if it has none of its own, until the condition holds or the deadline.
    virtual void drive(const std::function<bool()>& is_done, TimePoint until) = 0;
};

} // namespace weft::detail
