// W3C trace context, header text to context and back. The carrier is the cheapest one there can be:
// two strings.
#include "peer.hpp"

#include <opentelemetry/context/propagation/text_map_propagator.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/default_span.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>

#include <stdexcept>
#include <string>

namespace weft::bench::otelcpp {

namespace {

namespace api = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;
using opentelemetry::context::Context;

class TwoHeaders final : public opentelemetry::context::propagation::TextMapCarrier {
public:
    std::string traceparent = {};
    std::string tracestate = {};

    nostd::string_view Get(nostd::string_view key) const noexcept override {
        return key == "traceparent" ? traceparent : tracestate;
    }
    void Set(nostd::string_view key, nostd::string_view value) noexcept override {
        (key == "traceparent" ? traceparent : tracestate).assign(value.data(), value.size());
    }
};

void extract(const TwoHeaders& headers, std::uint64_t iterations) {
    api::propagation::HttpTraceContext propagator;
    Context empty;
    if (!api::GetSpan(propagator.Extract(headers, empty))->GetContext().IsValid()) {
        throw std::logic_error("the peer refused the headers");
    }
    for (std::uint64_t i = 0; i < iterations; ++i) { keep(propagator.Extract(headers, empty)); }
}

void inject(std::uint64_t iterations) {
    api::propagation::HttpTraceContext propagator;
    TwoHeaders headers;
    Context empty;
    headers.traceparent = shape::traceparent;
    const Context context = propagator.Extract(headers, empty);
    headers.traceparent.clear();
    for (std::uint64_t i = 0; i < iterations; ++i) {
        propagator.Inject(headers, context);
        clobber();
    }
    if (headers.traceparent != shape::traceparent) {
        throw std::logic_error("the peer wrote " + headers.traceparent);
    }
}

} // namespace

void add_propagation_cases(Suite& suite) {
    suite.add("traceparent_extract", "ns", [](std::uint64_t iterations) {
        TwoHeaders headers;
        headers.traceparent = shape::traceparent;
        extract(headers, iterations);
    });
    suite.add("traceparent_extract_tracestate", "ns", [](std::uint64_t iterations) {
        TwoHeaders headers;
        headers.traceparent = shape::traceparent;
        headers.tracestate = shape::tracestate;
        extract(headers, iterations);
    });
    suite.add("traceparent_inject", "ns", inject);
}

} // namespace weft::bench::otelcpp
