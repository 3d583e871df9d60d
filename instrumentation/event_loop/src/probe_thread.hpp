#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace weft::detail {

/// A thread that calls something at intervals, first after one, until it is destroyed. What the call throws is reported.
class ProbeThread {
public:
    /// Errors: std::system_error.
    ProbeThread(std::chrono::milliseconds interval, std::function<void()> call);
    ProbeThread(const ProbeThread&) = delete;
    ProbeThread& operator=(const ProbeThread&) = delete;
    /// Waits for a call that is being made.
    ~ProbeThread();

private:
    void run();

    const std::chrono::milliseconds interval_;
    const std::function<void()> call_;
    std::mutex mutex_; // Guards stopping_.
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_; // Last: it uses all of the above.
};

} // namespace weft::detail
