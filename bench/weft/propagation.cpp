// Question: what do W3C trace context headers cost, text to context and back? The carrier is the cheapest there is.
#include "cases.hpp"

#include <weft/propagation/composite.hpp>
#include <weft/propagation/propagate.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace weft::bench {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

void extract(const Headers& headers, std::uint64_t iterations) {
    if (!w3c::extract(headers).is_valid()) { throw std::logic_error("the headers were refused"); }
    for (std::uint64_t i = 0; i < iterations; ++i) { keep(w3c::extract(headers)); }
}

void inject(std::uint64_t iterations) {
    const TraceContext context =
        w3c::extract(Headers{{"traceparent", std::string(shape::traceparent)}});
    Headers headers;
    w3c::inject(context, headers);
    if (headers.size() != 1 || headers.front().second != shape::traceparent) {
        throw std::logic_error("the header is wrong");
    }
    for (std::uint64_t i = 0; i < iterations; ++i) {
        w3c::inject(context, headers);
        clobber();
    }
}

// What server and client do by default: trace context and baggage, here without a baggage.
void extract_default(const Headers& headers, std::uint64_t iterations) {
    if (!weft::extract(default_propagators(), headers).trace.is_valid()) {
        throw std::logic_error("the headers were refused");
    }
    for (std::uint64_t i = 0; i < iterations; ++i) {
        keep(weft::extract(default_propagators(), headers));
    }
}

void inject_default(std::uint64_t iterations) {
    const auto context = weft::extract(
        default_propagators(), Headers{{"traceparent", std::string(shape::traceparent)}});
    Headers headers;
    for (std::uint64_t i = 0; i < iterations; ++i) {
        weft::inject(default_propagators(), context, headers);
        clobber();
    }
}

} // namespace

void add_propagation_cases(Suite& suite) {
    static const Headers plain{{"traceparent", std::string(shape::traceparent)}};
    static const Headers with_state{
        {"traceparent", std::string(shape::traceparent)},
        {"tracestate", std::string(shape::tracestate)}};
    suite.add("traceparent_extract", "ns", [](std::uint64_t n) { extract(plain, n); });
    suite.add(
        "traceparent_extract_tracestate", "ns", [](std::uint64_t n) { extract(with_state, n); });
    suite.add("traceparent_inject", "ns", inject);
    suite.add(
        "default_propagators_extract", "ns", [](std::uint64_t n) { extract_default(plain, n); });
    suite.add("default_propagators_inject", "ns", inject_default);
}

} // namespace weft::bench
