#include "decode.hpp"
#include "lost.hpp"

#include <weft/runtime/context.hpp>
#include <weft/runtime/record.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/scope.hpp>
#include <weft/testing/in_memory.hpp>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>

namespace weft::testing {
namespace {

using Provider = weft::detail::TraceProvider;
using weft::detail::default_provider;

// The providers of all instances: a span may outlive its own and must find something that says "closed".
Provider& keep_for_ever(std::unique_ptr<Provider> provider) {
    static std::mutex& mutex = *new std::mutex; // Guards kept.
    static auto& kept = *new std::vector<std::unique_ptr<Provider>>;
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(provider));
    return *kept.back();
}

// Who is the default: the innermost instance that lives, in whatever order they end.
class Defaults {
public:
    void push(Provider& provider) {
        const std::lock_guard lock(mutex_);
        Provider* now = default_provider.load(std::memory_order_acquire); // As Tracer::provider.
        if (stack_.empty()) { below_ = now; }
        stack_.push_back(&provider);
        // release: publishes the provider to Tracer::provider's acquire.
        default_provider.store(&provider, std::memory_order_release);
    }
    void remove(Provider& provider) noexcept {
        const std::lock_guard lock(mutex_);
        std::erase(stack_, &provider);
        Provider* next = stack_.empty() ? below_ : stack_.back();
        // A Runtime that has been shut down meanwhile must not stand in the way of the next one.
        if (next != nullptr && !next->gate.is_open()) { next = nullptr; }
        Provider* self = &provider;
        // release: as above. relaxed: it fails when this was not the innermost, and then nothing is read.
        default_provider.compare_exchange_strong(
            self, next, std::memory_order_release, std::memory_order_relaxed);
    }

private:
    std::mutex mutex_; // Guards what follows.
    std::vector<Provider*> stack_;
    Provider* below_ = nullptr; // The default before the first of them.
};

Defaults& defaults() {
    static Defaults& instance = *new Defaults; // Never destroyed: a static instance may outlive it.
    return instance;
}

void check(const InMemoryOptions& options) {
    constexpr std::size_t least = std::size_t{64} << 10;
    constexpr std::size_t most = std::size_t{256} << 20;
    if (options.queue_bytes < least || options.queue_bytes > most) {
        throw std::invalid_argument(fmt::format(
            "InMemoryOptions::queue_bytes is {} bytes: allowed is {} to {} bytes",
            options.queue_bytes, least, most));
    }
    const auto depth = options.span_limits.attribute_value_depth;
    if (depth < 1 || depth > 64) {
        throw std::invalid_argument(fmt::format(
            "InMemoryOptions::span_limits.attribute_value_depth is {}: allowed is 1 to 64", depth));
    }
}

} // namespace

struct InMemoryTelemetry::State {
    explicit State(InMemoryOptions given)
        : options((check(given), std::move(given))),
          provider(keep_for_ever(std::make_unique<Provider>(
              options.sampler, options.span_limits, options.queue_bytes, 1))) {
        provider.id_generator = options.id_generator;
        if (options.make_default) { defaults().push(provider); }
    }
    ~State() {
        if (options.make_default) { defaults().remove(provider); }
        (void)current_trace_context(); // Finishes what was left to this thread's own slot.
        weft::detail::finish_ended_chains();
        provider.gate.close();
        provider.queue.discard();
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void collect() {
        (void)current_trace_context(); // As above.
        weft::detail::finish_ended_chains();
        provider.queue.consume([this](std::span<const std::byte> payload) {
            RecordHeader header;
            std::memcpy(&header, payload.data(), sizeof header);
            const auto body = payload.subspan(sizeof header);
            if (bytes + body.size() > options.bytes_max) {
                ++over_bytes_max;
                return true;
            }
            records.push_back(
                {header.scope,
                 std::string(reinterpret_cast<const char*>(body.data()), body.size())});
            bytes += body.size();
            return true;
        });
        check_losses();
    }

    struct Refused {
        std::uint64_t queue_full = 0;
        std::uint64_t too_large = 0;
        std::uint64_t no_memory = 0;
    };
    [[nodiscard]] Refused refused() const noexcept {
        // relaxed: independent counters, of spans that have ended.
        return {
            provider.dropped_queue_full.load(std::memory_order_relaxed),
            provider.dropped_record_too_large.load(std::memory_order_relaxed), // As above.
            provider.dropped_no_memory.load(std::memory_order_relaxed)};       // As above.
    }

    void check_losses() const {
        const Refused now = refused();
        detail::Losses losses;
        losses.add(
            now.queue_full - before.queue_full,
            fmt::format(
                "found the queue full (InMemoryOptions::queue_bytes is {}: raise it, or look at "
                "the spans more often)",
                options.queue_bytes));
        losses.add(
            now.too_large - before.too_large,
            fmt::format(
                "were larger than {} bytes, an eighth of InMemoryOptions::queue_bytes: raise it",
                provider.queue.record_max()));
        losses.add(now.no_memory - before.no_memory, "found no memory");
        losses.add(
            over_bytes_max,
            fmt::format(
                "would have been more than InMemoryOptions::bytes_max, {} bytes: raise it, or "
                "call clear()",
                options.bytes_max));
        losses.throw_if_any();
    }

    const InMemoryOptions options;
    Provider& provider;
    // The test's:
    struct Kept {
        std::uint16_t scope;
        std::string body;
    };
    std::vector<Kept> records;
    std::size_t bytes = 0;            // Of all of them.
    std::uint64_t over_bytes_max = 0; // Since the last clear().
    Refused before;                   // Counted before the last clear().
};

InMemoryTelemetry::InMemoryTelemetry(InMemoryOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}
InMemoryTelemetry::~InMemoryTelemetry() = default;

std::vector<FinishedSpan> InMemoryTelemetry::spans() {
    state_->collect();
    std::map<std::uint16_t, FinishedScope> scopes;
    std::vector<FinishedSpan> spans;
    spans.reserve(state_->records.size());
    for (const auto& record : state_->records) {
        auto& scope = scopes[record.scope];
        if (scope.name.empty()) {
            const auto encoded = weft::detail::encoded_scope(record.scope);
            scope = detail::decode_scope(encoded.message);
            scope.schema_url = encoded.schema_url;
        }
        spans.push_back(detail::decode_record(record.body));
        spans.back().scope = scope;
    }
    return spans;
}

std::size_t InMemoryTelemetry::span_count() {
    state_->collect();
    return state_->records.size();
}

void InMemoryTelemetry::clear() {
    try {
        state_->collect();
    } catch (const LostSpans&) {} // Lost together with those that are forgotten.
    state_->records.clear();
    state_->bytes = 0;
    state_->over_bytes_max = 0;
    state_->before = state_->refused();
}

Task<bool> InMemoryTelemetry::wait_for(std::size_t count, std::chrono::milliseconds within) {
    return detail::wait_until(
        [this, count] { return span_count() >= count; }, detail::from_now(within));
}

bool InMemoryTelemetry::wait_for_blocking(std::size_t count, std::chrono::milliseconds within) {
    return detail::wait_until_blocking(
        [this, count] { return span_count() >= count; }, detail::from_now(within));
}

Tracer InMemoryTelemetry::tracer(std::string_view name) const noexcept {
    return Tracer(name).bound_to(&state_->provider);
}

} // namespace weft::testing
