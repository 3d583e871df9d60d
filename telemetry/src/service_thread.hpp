#pragma once
#include "export_loop.hpp"

#include <boost/asio/io_context.hpp>

#include <future>
#include <memory>
#include <thread>

namespace weft::detail {

/// The one thread that a Runtime has, unless it is told to have none. It takes no
/// signals itself, except for faults of its own, so the program's handlers run on the program's
/// threads.
class ServiceThread final : public ExportLoop {
public:
    /// Errors: std::system_error, std::bad_alloc.
    ServiceThread();
    /// Stops the loop and joins, except for a name lookup under way, which is left behind. Whatever
    /// still waits in the loop is destroyed with the io_context.
    ~ServiceThread() override;

    [[nodiscard]] asio::io_context& io_context() noexcept { return *context_; }
    [[nodiscard]] asio::any_io_executor executor() noexcept override {
        return context_->get_executor();
    }
    [[nodiscard]] bool is_inside() const noexcept override {
        return thread_.get_id() == std::this_thread::get_id();
    }
    [[nodiscard]] bool is_held_up_here() const noexcept override { return is_inside(); }

private:
    explicit ServiceThread(std::unique_ptr<asio::io_context> context);
    static void run(
        std::unique_ptr<asio::io_context> context, std::future<void> released,
        std::promise<void> gone);
    void drive(const std::function<bool()>&, TimePoint) override {} // It does so itself.

    asio::io_context* context_;   // The thread's own, until we release it.
    std::promise<void> released_; // Nobody else touches the io_context any more.
    std::future<void> gone_;      // It has been destroyed.
    std::thread thread_;
};

} // namespace weft::detail
