// Question: what does a span cost between the ring and the socket, compression apart? Goal: assembling requests of 512
// spans. The floor is one memcpy of the same bytes.
#include "cases.hpp"
#include "tail_sampler.hpp"

#include <weft/exporters/batch_builder.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <cstring>
#include <memory>
#include <stdexcept>
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

// Traces of four spans, a tenth of which is kept and assembled: what a span costs the drain with tail sampling.
void decide_and_assemble(std::uint64_t iterations) {
    static detail::TailSampler tail({.rare_per_minute = 0, .linger = std::chrono::milliseconds(0)});
    static BatchBuilder builder(
        Signal::traces, {.message = std::string(300, 'r'), .schema_url = {}});
    static std::int64_t now = 0;
    Record record{sample().header, sample().body};
    record.header.flags = record_flags::sampled;
    for (std::uint64_t i = 0; i < iterations; ++i) {
        if (i % 4 == 0) { record.header.trace_id = random_trace_id(); }
        record.header.flags =
            i % 4 == 3 ? record_flags::sampled | record_flags::local_root : record_flags::sampled;
        if (tail.add(record, i, now) != detail::TailSampler::Added::taken) {
            throw std::logic_error("the tail sampler took no more");
        }
        if (i % 256 != 255) { continue; }
        tail.decide_due(++now);
        for (; tail.has_kept(); tail.pop()) {
            builder.add(tail.front().record);
            if (builder.records() == 512) { keep(builder.finish()); }
        }
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
    suite.add("tail_decision_and_assembly_per_span", "ns", decide_and_assemble);
}

} // namespace weft::bench
