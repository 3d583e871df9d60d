#include "text_sink.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weft::detail {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds slow_reader_interval{20};

} // namespace

struct TextSink::State {
    explicit State(Setup&& s)
        : setup(std::move(s)), key(fmt::format("text_sink.{}", setup.name)),
          progress(setup.executor) {}

    // Guards a place in `sends` for as long as a send runs, also when its coroutine is destroyed.
    struct Running {
        State& state;
        explicit Running(State& s) : state(s) { ++state.sends; }
        Running(const Running&) = delete;
        Running& operator=(const Running&) = delete;
        ~Running() {
            --state.sends;
            state.progress.made();
        }
    };

    Setup setup;
    const std::string key; // Of the lines in the log.
    Progress progress;
    bool busy = false; // Somebody is in the middle of a text.
    bool stopping = false;
    std::size_t sends = 0;
};

TextSink::TextSink(Setup setup) : state_(std::make_shared<State>(std::move(setup))) {}

asio::awaitable<SendOutcome> TextSink::send(std::shared_ptr<const Batch> batch) {
    return write(state_, std::move(batch));
}

asio::awaitable<SendOutcome> TextSink::write(
    std::shared_ptr<State> state, std::shared_ptr<const Batch> batch) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    const auto is_over = [&] {
        return state->stopping || cancellation.cancelled() != asio::cancellation_type::none;
    };
    const State::Running running(*state);
    SendOutcome outcome;
    const auto drop = [&](DropReason reason) {
        outcome.dropped = batch->records;
        outcome.reason = reason;
    };
    const std::string text = state->setup.encode(*batch);
    if (text.empty()) {
        outcome.detail = "the request cannot be read";
        drop(DropReason::encode_failed);
        co_return outcome;
    }
    const auto give_up = Clock::now() + state->setup.retry_for;
    co_await state->progress.wait_until([&] { return is_over() || !state->busy; }, give_up);
    if (state->busy) {
        drop(is_over() ? DropReason::shutdown : DropReason::retry_exhausted);
        co_return outcome;
    }
    std::string_view left = text;
    for (;;) { // Bound: give_up.
        ++outcome.attempts;
        const auto error = state->setup.output->write(left);
        state->busy = !left.empty();
        if (left.empty()) {
            outcome.exported = batch->records;
            co_return outcome;
        }
        outcome.detail = error.message();
        const bool slow = error == asio::error::would_block;
        if (!slow) {
            state->setup.log.report(DiagnosticLevel::error, state->key, [&] {
                return fmt::format(
                    "{}: {}: {} wait for {} ms; free space or make it writable", state->setup.name,
                    outcome.detail, name(batch->signal), state->setup.retry_interval.count());
            });
        }
        const auto now = Clock::now();
        if (is_over() || now >= give_up) {
            drop(is_over() ? DropReason::shutdown : DropReason::retry_exhausted);
            break;
        }
        const auto pause = slow ? slow_reader_interval : state->setup.retry_interval;
        co_await state->progress.wait_until(is_over, std::min(give_up, now + pause));
    }
    state->busy = false;
    co_return outcome;
}

asio::awaitable<void> TextSink::stop(TimePoint) {
    const auto state = state_;
    state->stopping = true;
    state->progress.made();
    // Each ends at once: nothing waits while it stops.
    co_await state->progress.wait_until([&] { return state->sends == 0; }, TimePoint::max());
}

} // namespace weft::detail
