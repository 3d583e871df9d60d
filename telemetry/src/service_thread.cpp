#include "service_thread.hpp"

#include <weft/runtime/diagnostics.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <exception>
#include <utility>

// Asio looks up names on a thread of its own, which ~io_context joins, and nothing interrupts
// getaddrinfo: with the network down it may take half a minute. So the io_context is destroyed on
// the service thread, and our destructor waits for that a moment only. A lookup that takes longer
// ends behind the program's back, or with the process.

namespace weft::detail {
namespace {

constexpr std::chrono::milliseconds patience{250};

// Everything but what a fault of the thread itself raises, which must still reach the program's
// crash handler.
sigset_t signals_of_others() noexcept {
    sigset_t set;
    sigfillset(&set);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
        sigdelset(&set, fault);
    }
    return set;
}

bool run_until_thrown(asio::io_context& context) noexcept {
    try {
        context.run();
        return true;
    } catch (const std::exception& error) {
        diagnostics().report(DiagnosticLevel::error, "service_thread.exception", error.what());
    } catch (...) {
        diagnostics().report(
            DiagnosticLevel::error, "service_thread.exception", "an unknown exception");
    }
    return false;
}

} // namespace

ServiceThread::ServiceThread() : ServiceThread(std::make_unique<asio::io_context>(1)) {}

ServiceThread::ServiceThread(std::unique_ptr<asio::io_context> context) : context_(context.get()) {
    std::promise<void> gone;
    gone_ = gone.get_future();
    const sigset_t blocked = signals_of_others();
    sigset_t before;
    pthread_sigmask(SIG_SETMASK, &blocked, &before); // Inherited by the thread.
    try {
        thread_ = std::thread(
            &ServiceThread::run, std::move(context), released_.get_future(), std::move(gone));
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ServiceThread::run(
    std::unique_ptr<asio::io_context> context, std::future<void> released,
    std::promise<void> gone) {
    pthread_setname_np(pthread_self(), "weft-export");
    {
        const auto work = asio::make_work_guard(*context);
        while (!run_until_thrown(*context)) {} // Bound: another turn costs a handler that threw.
    }
    released.wait();
    context.reset();
    gone.set_value();
}

ServiceThread::~ServiceThread() {
    context_->stop();
    released_.set_value();
    if (gone_.wait_for(patience) == std::future_status::ready) {
        thread_.join();
    } else {
        thread_.detach(); // See above.
    }
}

} // namespace weft::detail
