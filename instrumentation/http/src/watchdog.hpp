#pragma once
// Timeouts of many connections without a timer for each.
//
// A connection writes what it does and until which tick it may take into one atomic word: a store, no clock, no
// allocation, no lock. A watchdog looks at all of them once a tick. A connection that is too late is dealt with by
// system calls that any thread may make on a descriptor (shutdown, a non-blocking send), because its Asio socket
// belongs to whatever thread resumes its coroutine. Whoever changes the word first has won:
//
//   coroutine   enter(next): exchange; the old word says whether it came in time
//   watchdog    expire(): compare-exchange from the word it judged
//
// W1  A timeout never comes early: the limit counts from the tick after the current one.
// W2  on_expired runs under the mutex, and remove() takes the mutex before the descriptor is closed: a descriptor
//     that the watchdog uses is open and the connection's own.
// W3  The timer runs only while something is watched, so an idle watchdog keeps an io_context running for one more
//     tick at most.
//
// Threads: the tick runs on the io_context; add, remove and enter on the connections' threads.

#include "phase.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

namespace weft::http::detail {

namespace asio = boost::asio;

class Watchdog;

/// Something with a descriptor and limits.
class Watched {
public:
    Watched() noexcept = default;
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

    /// Says what comes next and by which tick it must be over. False if the time for what was before ran out.
    bool enter(Phase phase, std::uint64_t expiry_tick = never) noexcept {
        // seq_cst: going idle and then asking whether the server stops must not be reordered, or a stop that
        // looks for idle connections at the same moment misses this one; see ServerCore::begin_stop.
        const auto before =
            word_.exchange(phase_word(phase, expiry_tick), std::memory_order_seq_cst);
        if (phase_of(before) != Phase::expired) [[likely]] { return true; }
        // relaxed: only the coroutine that runs this reads it back as a decision.
        word_.store(phase_word(Phase::expired, never), std::memory_order_relaxed);
        return false;
    }
    [[nodiscard]] bool has_expired() const noexcept {
        // relaxed: no data comes with it; the caller acts on the word alone.
        return phase_of(word_.load(std::memory_order_relaxed)) == Phase::expired;
    }
    [[nodiscard]] const std::atomic<std::uint64_t>& word() const noexcept { return word_; }

protected:
    virtual ~Watched() = default;
    /// The time for `phase` ran out, or the server stops. Called under the watchdog's mutex; must not block.
    virtual void on_expired(Phase phase) noexcept = 0;

private:
    friend class Watchdog;

    bool expire(std::uint64_t judged) noexcept {
        // seq_cst: the other half of the order that enter() needs.
        return word_.compare_exchange_strong(
            judged, phase_word(Phase::expired, never), std::memory_order_seq_cst);
    }

    std::atomic<std::uint64_t> word_{phase_word(Phase::resting, never)};
    Watched* previous_ = nullptr; // Guarded by the watchdog's mutex, as next_ and watched_.
    Watched* next_ = nullptr;
    bool watched_ = false;
};

class Watchdog : public std::enable_shared_from_this<Watchdog> {
public:
    /// `shortest` is the shortest limit that is expected. A tick is a sixteenth of it, within 2 ms and `tick_max`;
    /// a limit comes late by two ticks at most.
    Watchdog(
        asio::io_context& context, std::chrono::milliseconds shortest,
        std::chrono::milliseconds tick_max);
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    void add(Watched& watched);
    void remove(Watched& watched) noexcept;

    /// The tick by which something that may take `limit` from now must be over. Zero means for ever.
    [[nodiscard]] std::uint64_t expiry(std::chrono::milliseconds limit) const noexcept {
        if (limit.count() <= 0) { return never; }
        const auto ticks = static_cast<std::uint64_t>((limit.count() + tick_ms_ - 1) / tick_ms_);
        // relaxed: a tick more or less is within the precision that is promised.
        return tick_.load(std::memory_order_relaxed) + ticks + 1;
    }

    /// The tick at which the first of `parts` equal shares of the time until `expiry` is over; a share is not shorter
    /// than `floor`, unless that would go beyond `expiry`.
    [[nodiscard]] std::uint64_t share(
        std::uint64_t expiry, std::size_t parts, std::chrono::milliseconds floor) const noexcept {
        // relaxed: as in expiry().
        const auto now = tick_.load(std::memory_order_relaxed);
        if (expiry == never || expiry <= now) { return expiry; }
        return std::min(expiry, std::max(now + (expiry - now) / parts, this->expiry(floor)));
    }
    [[nodiscard]] bool is_over(std::uint64_t expiry) const noexcept {
        // relaxed: as in expiry().
        return expiry != never && expiry <= tick_.load(std::memory_order_relaxed);
    }

    /// Expires whatever is in a phase that `select` (given the phase) picks. Returns how many.
    template <class Select>
    std::size_t expire_if(Select&& select) {
        const std::lock_guard lock(mutex_);
        std::size_t count = 0;
        for (Watched* watched = first_; watched != nullptr; watched = watched->next_) {
            // seq_cst: see Watched::enter.
            auto word = watched->word_.load(std::memory_order_seq_cst);
            // Bound: the word changes at most as often as its connection makes progress meanwhile.
            while (phase_of(word) != Phase::expired && select(phase_of(word))) {
                if (watched->expire(word)) {
                    watched->on_expired(phase_of(word));
                    ++count;
                    break;
                }
                word = watched->word_.load(std::memory_order_seq_cst); // As above.
            }
        }
        return count;
    }

private:
    void wait(); // With mutex_ held.
    void tick();

    const std::int64_t tick_ms_;
    std::atomic<std::uint64_t> tick_{0}; // Written by tick(), read by every connection.
    std::mutex mutex_;                   // Guards all below.
    asio::steady_timer timer_;
    Watched* first_ = nullptr;
    bool waiting_ = false;
};

} // namespace weft::http::detail
