#include "probe_thread.hpp"

#include <weft/runtime/diagnostics.hpp>

#include <pthread.h>
#include <signal.h>

#include <exception>

namespace weft::detail {

ProbeThread::ProbeThread(std::chrono::milliseconds interval, std::function<void()> call)
    : interval_(interval), call_(std::move(call)) {
    // The program's signals are for its own threads; what a fault of this one raises must still reach its handlers.
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
        sigdelset(&blocked, fault);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before); // Inherited by the thread.
    try {
        thread_ = std::thread(&ProbeThread::run, this);
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ProbeThread::~ProbeThread() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void ProbeThread::run() {
    pthread_setname_np(pthread_self(), "weft-probe");
    std::unique_lock lock(mutex_);
    // Bound: the destructor. Not a fixed grid: after a pause of the machine there is nothing to catch up with.
    while (!wake_.wait_for(lock, interval_, [this] { return stopping_; })) {
        lock.unlock();
        try {
            call_();
        } catch (const std::exception& error) {
            diagnostics().report(DiagnosticLevel::warning, "event_loop.probe", error.what());
        }
        lock.lock();
    }
}

} // namespace weft::detail
