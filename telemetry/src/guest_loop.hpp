#pragma once
// Exports without a thread of ours: an io_context that lives as a guest on the program's.
//
//   program's io_context ──turn──▶ guest's io_context: drains, connections, timers
//        ▲   runs handlers of the guest for a slice, then lets the program's go first
//        └── waits for the guest's epoll descriptor, which is readable while the guest has something to do
//
//   thread in a blocking flush, shutdown or destructor ──drives──▶ the guest, whoever runs the program's loop, or nobody
//
// Two io_contexts and not a strand on one, because then a thread that waits can run the exports, and never has to run the
// program's handlers, or hope that somebody else does.
//
// G1  One thread at a time drives the guest: whoever has set `driven`, under the mutex. So the exports need no strand.
// G2  The wait for the descriptor does not count as work of the program's loop, which so ends when the program's own work
//     is done. The count is taken back in a handler (`arm`) and therefore never falls to zero by it.
// G3  What is posted to the guest from outside does not make its descriptor readable (Asio wakes a thread that runs it, and
//     there may be none). Hence the executor: it posts, and asks for a turn. What Asio itself posts, for a name look-up or
//     a signal that another io_context read, is found by a timer.
// G4  In a forked child the host is left alone until it has been told of the fork (notify_fork): its locks may be held by
//     threads that the child does not have, and its epoll set is the parent's.

#include "export_loop.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>

namespace weft::detail {

/// Exports on the program's own io_context, whichever threads run it, a slice of time at a time.
class GuestLoop final : public ExportLoop {
public:
    /// Errors: std::system_error without a descriptor left, std::bad_alloc. Lifetime: `host` outlives this.
    GuestLoop(asio::io_context& host, std::chrono::microseconds slice);
    /// Waits for the turn under way, and then for a name look-up under way, but for that a moment only.
    ~GuestLoop() override;

    [[nodiscard]] asio::any_io_executor executor() noexcept override;
    [[nodiscard]] bool is_inside() const noexcept override;
    [[nodiscard]] bool is_held_up_here() const noexcept override;
    void abandon_in_child() noexcept override;

private:
    class Guests;
    struct State;
    void drive(const std::function<bool()>& is_done, TimePoint until) override;

    const std::shared_ptr<State> state_; // Shared with handlers in the program's io_context.
};

} // namespace weft::detail
