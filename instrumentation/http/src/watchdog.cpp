#include "watchdog.hpp"

#include <algorithm>

namespace weft::http::detail {

Watchdog::Watchdog(
    asio::io_context& context, std::chrono::milliseconds shortest,
    std::chrono::milliseconds tick_max)
    : tick_ms_(std::clamp<std::int64_t>(shortest.count() / 16, 2, tick_max.count())),
      timer_(context) {}

void Watchdog::add(Watched& watched) {
    const std::lock_guard lock(mutex_);
    if (watched.watched_) { return; }
    watched.watched_ = true;
    watched.previous_ = nullptr;
    watched.next_ = first_;
    if (first_ != nullptr) { first_->previous_ = &watched; }
    first_ = &watched;
    if (!waiting_) { wait(); }
}

void Watchdog::remove(Watched& watched) noexcept {
    const std::lock_guard lock(mutex_);
    if (!watched.watched_) { return; }
    watched.watched_ = false;
    (watched.previous_ != nullptr ? watched.previous_->next_ : first_) = watched.next_;
    if (watched.next_ != nullptr) { watched.next_->previous_ = watched.previous_; }
    // W3: the timer is left to run out. Cancelling it would cost every lone request of a client a timer.
}

void Watchdog::wait() {
    waiting_ = true;
    timer_.expires_after(std::chrono::milliseconds(tick_ms_));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code&) {
        if (const auto self = weak.lock()) { self->tick(); }
    });
}

void Watchdog::tick() {
    const std::lock_guard lock(mutex_);
    waiting_ = false;
    if (first_ == nullptr) { return; }
    // relaxed: the only writer, under the mutex; readers tolerate an old tick.
    const auto now = tick_.load(std::memory_order_relaxed) + 1;
    tick_.store(now, std::memory_order_relaxed); // As above.
    for (Watched* watched = first_; watched != nullptr; watched = watched->next_) {
        // relaxed: expire() checks the word again.
        const auto word = watched->word_.load(std::memory_order_relaxed);
        if (phase_of(word) == Phase::expired || tick_of(word) > now) { continue; }
        if (watched->expire(word)) { watched->on_expired(phase_of(word)); }
    }
    wait();
}

} // namespace weft::http::detail
