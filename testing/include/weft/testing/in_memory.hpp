#pragma once
// Where spans go in a test: into the test's own hands, with no collector and no network.
//
//   InMemoryTelemetry   without a Runtime and without a thread: for tests of functions and coroutines
//   InMemorySink        behind a whole Runtime, in place of OTLP/HTTP: for tests of a program
//
// Both give the spans as FinishedSpan, decoded from the bytes that a collector would have been sent, and neither is
// ever silent about a span it lost.

#include <weft/exporters/ledger.hpp>
#include <weft/exporters/sink.hpp>
#include <weft/runtime/executor.hpp>
#include <weft/signals/id_generator.hpp>
#include <weft/signals/limits.hpp>
#include <weft/signals/sampler.hpp>
#include <weft/signals/span.hpp>
#include <weft/testing/finished_span.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace weft::testing {

/// Spans were lost, so that what a test would look at is not all there was. The text says how many, why, and what to do.
class LostSpans : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What an InMemoryTelemetry does with spans.
struct InMemoryOptions {
    Sampler sampler = Sampler::parent_based(Sampler::always_on());
    SpanLimits span_limits{};
    std::shared_ptr<IdGenerator> id_generator{}; ///< Null: random ids. See SequentialIds.
    /// Spans that end between two looks at them must fit, encoded. 64 KiB to 256 MiB; touched as it is used.
    std::size_t queue_bytes = std::size_t{16} << 20;
    /// Of all spans kept until `clear`, encoded.
    std::size_t bytes_max = std::size_t{256} << 20;
    bool make_default = true; ///< Spans that name no tracer come here, before any Runtime.
};

/// A trace provider for one test. While it lives it is the process's default, the innermost of several; then again what
/// was before. Nothing runs in the background: what has ended is found when the test looks.
/// Threads: spans any; the members one at a time. Make and destroy it while no other thread starts spans.
class InMemoryTelemetry {
public:
    /// Errors: std::invalid_argument, naming the option; std::bad_alloc; std::system_error without a descriptor.
    explicit InMemoryTelemetry(InMemoryOptions options = {});
    InMemoryTelemetry(const InMemoryTelemetry&) = delete;
    InMemoryTelemetry& operator=(const InMemoryTelemetry&) = delete;
    /// Spans that end later go nowhere.
    ~InMemoryTelemetry();

    /// Every span that has ended since the beginning or `clear`, those of one thread in the order in which they ended.
    /// Errors: LostSpans.
    [[nodiscard]] std::vector<FinishedSpan> spans();
    /// How many there are. Errors: LostSpans. Cost: nothing is decoded.
    [[nodiscard]] std::size_t span_count();
    /// Forgets the spans so far, and what was lost of them.
    void clear();

    /// Waits until `count` spans have ended; false when they have not in time. For tests whose spans end on other
    /// threads or chains. Errors: LostSpans.
    [[nodiscard]] Task<bool> wait_for(
        std::size_t count, std::chrono::milliseconds within = std::chrono::seconds(10));
    /// As above, for threads that may wait.
    [[nodiscard]] bool wait_for_blocking(
        std::size_t count, std::chrono::milliseconds within = std::chrono::seconds(10));

    /// A tracer that reports here, default or not. Lifetime: of the texts; the tracer may outlive this.
    [[nodiscard]] Tracer tracer(std::string_view name = "test") const noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Keeps what a Runtime exports: `options.sink = std::make_shared<InMemorySink>()`. Look after a flush, or wait.
/// Threads: any.
class InMemorySink final : public Sink {
public:
    /// Of all batches kept until `clear`. Beyond it batches are dropped, and looking throws LostSpans.
    explicit InMemorySink(std::size_t bytes_max = std::size_t{256} << 20);
    ~InMemorySink() override;

    /// Every span exported since the beginning or `clear`; those of one thread and scope in the order in which they
    /// ended. Errors: LostSpans. What the Runtime itself lost is in its ledger.
    [[nodiscard]] std::vector<FinishedSpan> spans() const;
    /// How many there are. Errors: LostSpans.
    [[nodiscard]] std::size_t span_count() const;
    /// Forgets the spans so far, and what was lost of them.
    void clear();

    /// Waits until `count` spans have been exported; false when they have not in time. The Runtime's batch delay is
    /// part of the wait: flush it first, or set BatchOptions::delay. Errors: LostSpans.
    [[nodiscard]] Task<bool> wait_for(
        std::size_t count, std::chrono::milliseconds within = std::chrono::seconds(10)) const;
    /// As above, for threads that may wait.
    [[nodiscard]] bool wait_for_blocking(
        std::size_t count, std::chrono::milliseconds within = std::chrono::seconds(10)) const;

    [[nodiscard]] asio::awaitable<SendOutcome> send(std::shared_ptr<const Batch> batch) override;
    [[nodiscard]] asio::awaitable<void> stop(TimePoint deadline) override;
    [[nodiscard]] std::size_t connections() const noexcept override { return 1; }

private:
    struct State;
    std::shared_ptr<State> state_; // Shared with waits and sends that outlive the sink.
};

} // namespace weft::testing
