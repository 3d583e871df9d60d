// Question: what does a span cost the code that makes it? Goal: the producer's own nanoseconds and allocations, as a
// burst and with a drain at work. Non-goal: what export costs (batch.cpp, and the end-to-end figures).
#include "cases.hpp"

#include <weft/exporters/batch_builder.hpp>
#include <weft/runtime/clock.hpp>
#include <weft/signals/adaptive_sampler.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace weft::bench {
namespace {

constexpr std::size_t queue_bytes = 8u << 20;

// A provider whose spans are counted and assembled into batches, here or on a thread.
class Pipeline {
public:
    explicit Pipeline(const Sampler& sampler)
        : provider_(sampler, SpanLimits{}, queue_bytes, 2), builder_(Signal::traces, {}) {
        provider_.counts.enable(); // As a runtime that exports metrics too, which is the default.
    }
    ~Pipeline() { stop(); }
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    // release: what Runtime does when it becomes the default.
    void make_default() noexcept {
        detail::default_provider.store(&provider_, std::memory_order_release);
    }

    void drain() {
        provider_.queue.consume([&](std::span<const std::byte> payload) {
            Record record;
            std::memcpy(&record.header, payload.data(), sizeof record.header);
            record.body = payload.subspan(sizeof record.header);
            builder_.add(record);
            if (builder_.records() >= 512) { keep(builder_.finish()); }
            return true;
        });
    }
    void start() {
        stop();
        stopping_.store(false, std::memory_order_relaxed); // The thread does not run yet.
        thread_ = std::thread([this] {
            while (
                !stopping_.load(std::memory_order_relaxed)) { // A flag: nothing is ordered by it.
                drain();
                provider_.queue.arm();
                pollfd descriptor{provider_.queue.wake_descriptor(), POLLIN, 0};
                poll(&descriptor, 1, 10);
                provider_.queue.disarm();
            }
        });
    }
    void stop() {
        stopping_.store(true, std::memory_order_relaxed); // As above; join orders the rest.
        if (thread_.joinable()) { thread_.join(); }
        drain();
        if (refused() != 0) {
            throw std::logic_error("spans were dropped: the figure would be a drop's");
        }
    }
    // Waits until the drain has caught up, so that a sustained figure is that of spans which all arrive.
    void wait_for_room() {
        while (provider_.queue.used_bytes() > queue_bytes / 4) { // Bound: it drains.
            provider_.queue.wake();
            std::this_thread::yield();
        }
    }
    [[nodiscard]] std::uint64_t accepted() const noexcept {
        return provider_.queue.records_accepted();
    }
    [[nodiscard]] std::uint64_t refused() const noexcept {
        return provider_.dropped_queue_full.load(std::memory_order_relaxed); // A counter.
    }

private:
    detail::TraceProvider provider_;
    BatchBuilder builder_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

Pipeline& sampled() {
    static Pipeline pipeline(Sampler::parent_based(Sampler::always_on()));
    return pipeline;
}
Pipeline& unsampled() {
    static Pipeline pipeline(Sampler::parent_based(Sampler::always_off()));
    return pipeline;
}

// A target far below what a bench makes: nearly all are dropped, and what is measured is the decision.
Pipeline& adaptive() {
    static Pipeline pipeline(Sampler::parent_based(adaptive_sampler({.target_per_second = 100})));
    return pipeline;
}
Pipeline& by_probability() {
    static Pipeline pipeline(Sampler::parent_based(Sampler::probability(1e-6)));
    return pipeline;
}

void root_spans(std::uint64_t iterations) {
    for (std::uint64_t i = 0; i < iterations; ++i) { Span span(shape::root_name); }
}

void four_attribute_spans(std::uint64_t iterations) {
    for (std::uint64_t i = 0; i < iterations; ++i) {
        Span span(
            shape::child_name, {{shape::method_key, shape::method},
                                {shape::route_key, shape::route},
                                {shape::status_key, shape::status},
                                {shape::address_key, shape::address}});
    }
}

void child_spans(std::uint64_t iterations) {
    const Span parent("parent");
    four_attribute_spans(iterations);
}

// What a program pays that makes spans without end: its own work, or its share of the drain's when that is slower.
void sustained_child_spans(std::uint64_t iterations) {
    const Span parent("parent");
    constexpr std::uint64_t stretch = 1024;
    for (std::uint64_t done = 0; done < iterations; done += stretch) {
        four_attribute_spans(std::min(stretch, iterations - done));
        sampled().wait_for_room();
    }
}

// The floor: two clock reads, three random words, the record's bytes copied once into memory that is reused.
void floor_of_child_spans(std::uint64_t iterations) {
    static std::array<char, 512 * 256> ring;
    static const std::array<char, 256> record{};
    for (std::uint64_t i = 0; i < iterations; ++i) {
        const auto start = steady_now_ns();
        keep(random_span_id());
        char* place = ring.data() + (i % 512) * 256;
        std::memcpy(place, record.data(), record.size());
        const auto end = steady_now_ns();
        std::memcpy(place, &start, sizeof start);
        std::memcpy(place + 8, &end, sizeof end);
        clobber();
    }
}

void require_that_spans_arrive() {
    sampled().make_default();
    const auto before = sampled().accepted();
    root_spans(100);
    child_spans(100);
    if (sampled().accepted() - before != 201) { throw std::logic_error("spans were lost"); }
    sampled().drain();
}

void begin_burst() {
    static const bool arrived = (require_that_spans_arrive(), true);
    keep(arrived);
    sampled().make_default();
}

void switch_off() {
    detail::default_provider.store(
        nullptr, std::memory_order_release); // As Runtime does at the end.
}

} // namespace

void add_span_cases(Suite& suite) {
    const auto end_burst = [] { sampled().drain(); };
    suite.add(
        "span_child_4_attributes_current_burst", "ns", floor_of_child_spans,
        {.batch = shape::burst_spans, .library = "floor"});
    suite.add(
        "span_root_0_attributes_burst", "ns", root_spans,
        {.batch = shape::burst_spans, .before = begin_burst, .after = end_burst});
    suite.add(
        "span_child_4_attributes_current_burst", "ns", child_spans,
        {.batch = shape::burst_spans, .before = begin_burst, .after = end_burst});

    const auto begin_sustained = [] {
        sampled().make_default();
        sampled().start();
    };
    const auto end_sustained = [] { sampled().stop(); };
    suite.add(
        "span_child_4_attributes_current_sustained", "ns", sustained_child_spans,
        {.before = begin_sustained, .after = end_sustained, .seconds_min = 0.3});
    suite.add(
        "span_child_4_attributes_current_2_threads", "ns", sustained_child_spans,
        {.threads = 2, .before = begin_sustained, .after = end_sustained, .seconds_min = 0.3});

    suite.add(
        "span_root_unsampled", "ns", root_spans, {.before = [] { unsampled().make_default(); }});
    suite.add("span_root_unsampled_probability", "ns", root_spans, {.before = [] {
                  by_probability().make_default();
              }});
    const auto begin_adaptive = [] { adaptive().make_default(); };
    const auto end_adaptive = [] { adaptive().drain(); };
    suite.add(
        "span_root_adaptive", "ns", root_spans, {.before = begin_adaptive, .after = end_adaptive});
    suite.add(
        "span_root_adaptive_2_threads", "ns", root_spans,
        {.threads = 2, .before = begin_adaptive, .after = end_adaptive});
    suite.add("span_child_4_attributes_unsampled", "ns", child_spans, {.before = [] {
                  unsampled().make_default();
              }});
    suite.add("span_off", "ns", root_spans, {.before = switch_off});
    suite.add("span_4_attributes_off", "ns", four_attribute_spans, {.before = switch_off});
}

} // namespace weft::bench
