// The program that durable_rings_test.cpp kills: weft-rings-program FOLDER ENDPOINT COUNTERS [metrics]
#include "rings_counters.hpp"

#include <weft/weft.hpp>

#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

weft::Options options_for(const char* folder, const char* endpoint) {
    weft::Options options;
    options.service_name = "rings";
    options.otlp.endpoint = endpoint;
    options.otlp.retry = {
        .initial_backoff = 1ms, .multiplier = 1, .max_backoff = 1ms, .max_elapsed = 24h};
    options.metrics_exporter = weft::ExporterKind::none;
    options.batch.records_max = weft::testing::batch_records;
    options.batch.delay = 1ms;
    options.batch.poll = 1ms;
    options.batch.queue_bytes = 16u << 20; // So that nothing is refused.
    options.durable_rings.enabled = true;
    options.durable_rings.directory = folder;
    return options;
}

void make_spans(weft::testing::RingsCounters& counters, std::size_t thread) {
    static const weft::Tracer tracer("rings.program", "1.2.3");
    auto& [started, ended] = counters.threads[thread];
    for (std::uint64_t i = 1; i <= weft::testing::spans_max; ++i) {
        started.store(i, std::memory_order_relaxed); // Read when this process is dead.
        weft::Span span(tracer, "s" + std::to_string(thread) + '-' + std::to_string(i));
        span.set_attribute("text", std::string(i % 300, 'x'));
        span.end();
        ended.store(i, std::memory_order_release); // As above: what ended, ended before.
    }
}

} // namespace

int main(int argument_count, char** arguments) {
    if (argument_count < 4) { return 2; }
    auto& counters = weft::testing::map_counters(arguments[3]);
    auto options = options_for(arguments[1], arguments[2]);
    const bool with_metrics = argument_count > 4;
    if (with_metrics) { options.metrics_exporter = weft::ExporterKind::otlp; }
    weft::Runtime runtime(options);
    if (with_metrics) {
        const weft::Meter meter("rings.meter");
        const weft::Counter counter(meter, "rings.lost");
        counter.add(7);
        (void)runtime.flush_blocking(200ms); // Collects; nobody takes it.
    }
    std::puts("ready");
    std::fflush(stdout);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < counters.threads.size(); ++i) {
        threads.emplace_back([&counters, i] { make_spans(counters, i); });
    }
    for (;;) { pause(); } // Until it is killed.
}
