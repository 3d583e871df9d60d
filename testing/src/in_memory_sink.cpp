#include "decode.hpp"
#include "lost.hpp"

#include <weft/testing/in_memory.hpp>

#include <mutex>

namespace weft::testing {

struct InMemorySink::State {
    explicit State(std::size_t most) : bytes_max(most) {}

    // Errors: LostSpans. The caller holds the mutex.
    void check_losses() const {
        detail::Losses losses;
        losses.add(
            lost, fmt::format(
                      "would have been more than the {} bytes that InMemorySink keeps: give its "
                      "constructor more, or call clear()",
                      bytes_max));
        losses.throw_if_any();
    }
    [[nodiscard]] std::size_t count() const {
        const std::lock_guard lock(mutex);
        check_losses();
        return spans;
    }

    const std::size_t bytes_max;
    mutable std::mutex mutex; // Guards what follows.
    std::vector<std::shared_ptr<const Batch>> batches;
    std::size_t bytes = 0; // Of their bodies.
    std::size_t spans = 0; // In those of traces.
    std::uint64_t lost = 0;
};

InMemorySink::InMemorySink(std::size_t bytes_max) : state_(std::make_shared<State>(bytes_max)) {}
InMemorySink::~InMemorySink() = default;

std::vector<FinishedSpan> InMemorySink::spans() const {
    std::vector<FinishedSpan> spans;
    const std::lock_guard lock(state_->mutex);
    state_->check_losses();
    for (const auto& batch : state_->batches) {
        if (batch->signal == Signal::traces) { detail::decode_request(batch->body, spans); }
    }
    return spans;
}

std::size_t InMemorySink::span_count() const { return state_->count(); }

void InMemorySink::clear() {
    const std::lock_guard lock(state_->mutex);
    state_->batches.clear();
    state_->bytes = state_->spans = 0;
    state_->lost = 0;
}

Task<bool> InMemorySink::wait_for(std::size_t count, std::chrono::milliseconds within) const {
    return detail::wait_until(
        [state = state_, count] { return state->count() >= count; }, detail::from_now(within));
}

bool InMemorySink::wait_for_blocking(std::size_t count, std::chrono::milliseconds within) const {
    return detail::wait_until_blocking(
        [this, count] { return state_->count() >= count; }, detail::from_now(within));
}

asio::awaitable<SendOutcome> InMemorySink::send(std::shared_ptr<const Batch> batch) {
    const auto state = state_;
    const std::lock_guard lock(state->mutex); // Nothing is awaited while it is held.
    SendOutcome outcome;
    outcome.attempts = 1;
    if (state->bytes + batch->body.size() > state->bytes_max) {
        outcome.dropped = batch->records;
        outcome.reason = DropReason::queue_full;
        outcome.detail = "InMemorySink keeps no more";
        if (batch->signal == Signal::traces) { state->lost += batch->records; }
        co_return outcome;
    }
    state->batches.push_back(batch);
    state->bytes += batch->body.size();
    if (batch->signal == Signal::traces) { state->spans += batch->records; }
    outcome.exported = batch->records;
    co_return outcome;
}

asio::awaitable<void> InMemorySink::stop(TimePoint) { co_return; } // A send never waits.

} // namespace weft::testing
