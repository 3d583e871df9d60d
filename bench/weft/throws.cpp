// Question: what does weft::throw_traces cost a throw, and an exception that is recorded? Built twice, without it
// (weft-bench-throws) and with it (weft-bench-throws-traced): it cannot be switched off in a program that has it.
#include "harness.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <cstdint>
#include <stdexcept>

namespace weft::bench {
namespace {

constexpr std::uint64_t batch = 64;

[[gnu::noinline]] int throw_below(int frames) {
    if (frames == 0) { throw std::runtime_error("what the benchmark throws"); }
    const int below = throw_below(frames - 1);
    clobber(); // Behind the call, so that it is none in the tail.
    return below + 1;
}

template <int Frames>
void throw_and_catch(std::uint64_t iterations) {
    for (std::uint64_t i = 0; i < iterations; ++i) {
        try {
            keep(throw_below(Frames));
        } catch (const std::runtime_error& error) { keep(error.what()); }
    }
}

detail::TraceProvider& provider() {
    static detail::TraceProvider instance(
        Sampler::parent_based(Sampler::always_on()), SpanLimits{}, std::size_t{8} << 20, 1);
    return instance;
}

void throw_and_record(std::uint64_t iterations) {
    const auto tracer = Tracer("bench").bound_to(&provider());
    for (std::uint64_t i = 0; i < iterations; ++i) {
        Span span(tracer, "fails");
        try {
            keep(throw_below(8));
        } catch (const std::runtime_error& error) { span.record_exception(error); }
    }
}

void drain() {
    provider().queue.consume([](std::span<const std::byte>) { return true; });
}

} // namespace
} // namespace weft::bench

int main(int argc, char** argv) {
    using namespace weft::bench;
    weft::calibrate_clock();
    Suite suite(WEFT_BENCH_LIBRARY);
    suite.add("throw_catch_4_frames", "ns", throw_and_catch<4>);
    suite.add("throw_catch_32_frames", "ns", throw_and_catch<32>);
    suite.add("throw_record_8_frames", "ns", throw_and_record, {.batch = batch, .after = drain});
    return suite.run(argc, argv);
}
