// Question: what does a span cost between the ring and the socket, compression apart? Goal: assembling requests of 512
// spans. The floor is one memcpy of the same bytes.
#include "cases.hpp"

#include <weft/exporters/batch_builder.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace weft::bench {
namespace {

struct Sample {
    RecordHeader header;
    std::vector<std::byte> body;
};

// A record as a span of four attributes really leaves it.
const Sample& sample() {
    static const Sample made = [] {
        Sample sample;
        static detail::TraceProvider provider(Sampler::always_on(), SpanLimits{}, 1u << 20, 1);
        // release: what Runtime does when it becomes the default.
        detail::default_provider.store(&provider, std::memory_order_release);
        {
            Span span(
                shape::child_name, {{shape::method_key, shape::method},
                                    {shape::route_key, shape::route},
                                    {shape::status_key, shape::status},
                                    {shape::address_key, shape::address}});
        }
        provider.queue.consume([&](std::span<const std::byte> payload) {
            std::memcpy(&sample.header, payload.data(), sizeof sample.header);
            const auto body = payload.subspan(sizeof sample.header);
            sample.body.assign(body.begin(), body.end());
            return true;
        });
        return sample;
    }();
    return made;
}

void assemble(std::uint64_t iterations) {
    static BatchBuilder builder(
        Signal::traces, {.message = std::string(300, 'r'), .schema_url = {}});
    const Sample& record = sample();
    for (std::uint64_t i = 0; i < iterations; ++i) {
        builder.add({record.header, record.body});
        if (builder.records() == 512) { keep(builder.finish()); }
    }
}

void copy_only(std::uint64_t iterations) {
    static std::string memory;
    const Sample& record = sample();
    memory.resize(512 * record.body.size());
    for (std::uint64_t i = 0; i < iterations; ++i) {
        std::memcpy(
            memory.data() + (i % 512) * record.body.size(), record.body.data(), record.body.size());
        clobber();
    }
}

} // namespace

void add_batch_cases(Suite& suite) {
    suite.add("batch_assembly_per_span", "ns", copy_only, {.library = "floor"});
    suite.add("batch_assembly_per_span", "ns", assemble);
}

} // namespace weft::bench
