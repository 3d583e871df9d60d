#pragma once
#include <weft/exporters/retry.hpp>

#include <chrono>
#include <cstddef>

namespace weft::detail {

/// Keeps a destination that is down from being asked by every batch that waits for it. After so many failures in a row it
/// opens: from then on one attempt at a time, the probe, finds out whether the destination is back, with waits that grow
/// as RetryPolicy says. The first success closes it.
/// Pure: time is a parameter. Threads: one at a time.
class CircuitBreaker {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    enum class Entry : std::uint8_t { refused, attempt, probe };

    /// `failures_max` in a row open it; 0: it never opens.
    CircuitBreaker(
        std::size_t failures_max, const RetryPolicy& policy,
        Backoff::Random random = &random_u64) noexcept
        : failures_max_(failures_max), waits_(policy, random) {}

    [[nodiscard]] bool is_open() const noexcept { return is_open_; }
    /// In a row.
    [[nodiscard]] std::size_t failures() const noexcept { return failures_; }

    /// Asks for an attempt now. Whoever gets one tells how it ended, by exactly one of the three below.
    [[nodiscard]] Entry enter(TimePoint now) noexcept {
        if (!is_open_) { return Entry::attempt; }
        if (is_probing_ || now < next_probe_at_) { return Entry::refused; }
        is_probing_ = true;
        return Entry::probe;
    }
    /// When it is worth asking again after a refusal; never while a probe is under way, whose end changes that.
    [[nodiscard]] TimePoint next_probe_at() const noexcept {
        return is_probing_ ? TimePoint::max() : next_probe_at_;
    }

    /// The destination answered. True if that closed it.
    bool succeeded() noexcept {
        failures_ = 0;
        is_probing_ = false;
        if (!is_open_) { return false; }
        is_open_ = false;
        waits_.reset();
        return true;
    }
    /// True if that opened it.
    bool failed(Entry entry, TimePoint now) noexcept {
        ++failures_;
        const bool opens = !is_open_ && failures_max_ != 0 && failures_ >= failures_max_;
        if (entry == Entry::probe) { is_probing_ = false; }
        // An attempt that was under way when it opened says nothing new.
        if (opens || entry == Entry::probe) { next_probe_at_ = now + waits_.next(); }
        is_open_ = is_open_ || opens;
        return opens;
    }
    /// The attempt was cut off and says nothing.
    void abandoned(Entry entry) noexcept {
        if (entry == Entry::probe) { is_probing_ = false; }
    }

private:
    const std::size_t failures_max_;
    Backoff waits_;
    std::size_t failures_ = 0;
    bool is_open_ = false;
    bool is_probing_ = false; // Only while open.
    TimePoint next_probe_at_ = TimePoint::min();
};

} // namespace weft::detail
