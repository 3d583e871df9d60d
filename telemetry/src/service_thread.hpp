#pragma once
#include <boost/asio/io_context.hpp>

#include <future>
#include <memory>
#include <thread>

namespace weft::detail {

namespace asio = boost::asio;

/// The one thread that a Runtime has: drains, sends, and watches for stop signals. It takes no
/// signals itself, except for faults of its own, so the program's handlers run on the program's
/// threads.
class ServiceThread {
public:
    /// Errors: std::system_error, std::bad_alloc.
    ServiceThread();
    /// Stops the loop and joins, except for a name lookup under way, which is left behind. Whatever
    /// still waits in the loop is destroyed with the io_context.
    ~ServiceThread();
    ServiceThread(const ServiceThread&) = delete;
    ServiceThread& operator=(const ServiceThread&) = delete;

    [[nodiscard]] asio::io_context& io_context() noexcept { return *context_; }
    [[nodiscard]] bool is_current() const noexcept {
        return thread_.get_id() == std::this_thread::get_id();
    }

private:
    explicit ServiceThread(std::unique_ptr<asio::io_context> context);
    static void run(
        std::unique_ptr<asio::io_context> context, std::future<void> released,
        std::promise<void> gone);

    asio::io_context* context_;   // The thread's own, until we release it.
    std::promise<void> released_; // Nobody else touches the io_context any more.
    std::future<void> gone_;      // It has been destroyed.
    std::thread thread_;
};

} // namespace weft::detail
