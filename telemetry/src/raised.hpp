#pragma once
#include <atomic>

namespace weft::detail {

/// A flag that is set for as long as this lives. relaxed: a fork at the same moment finds either.
class Raised {
public:
    explicit Raised(std::atomic<bool>& flag) noexcept : flag_(flag) {
        flag_.store(true, std::memory_order_relaxed); // As above.
    }
    Raised(const Raised&) = delete;
    Raised& operator=(const Raised&) = delete;
    ~Raised() { flag_.store(false, std::memory_order_relaxed); } // As above.

private:
    std::atomic<bool>& flag_;
};

} // namespace weft::detail
