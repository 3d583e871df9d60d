// What anybody can put before the Prometheus endpoint: Accept, Accept-Encoding, the query, the scraper's
// timeout. First byte: which of them. Whatever the bytes, the readers come back, and what they answer keeps its
// promises.

#include "prometheus_fields.hpp"

#include <weft/exporters/prometheus_format.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using namespace weft;
using namespace weft::detail;

void require(bool promise, const char* what) {
    if (promise) { return; }
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
}

void read_accept(std::string_view input) {
    const auto chosen = negotiate_prometheus(input);
    // What was chosen is what one asks for by the name that it is given in the answer.
    const auto type = content_type(chosen);
    require(negotiate_prometheus(type) == chosen, "a Content-Type negotiates to itself");
    const PrometheusProtocol fallback{
        PrometheusFormat::open_metrics_1_0_0, PrometheusEscaping::values};
    const auto other = negotiate_prometheus(input, fallback);
    require(other == chosen || other == fallback, "a fallback changes nothing else");
    static_cast<void>(accepts_gzip(input));
    for (auto rest = input; !rest.empty();) {
        const auto before = rest.size();
        const auto item = next_item(rest);
        require(rest.size() < before, "items get fewer");
        require(item.quality() >= 0 && item.quality() <= 1000, "the weight is one");
    }
}

void read_target(std::string_view input) {
    const auto path = path_of(input);
    require(path.find('?') == std::string_view::npos, "the path has no query");
    if (const auto names = names_in_query(input, 16)) {
        require(names->size() <= 16, "names are bounded");
        for (const auto& name : *names) {
            require(name.size() <= input.size(), "decoding shrinks");
        }
    }
}

void read_timeout(std::string_view input) {
    const auto timeout = scrape_timeout(input);
    require(!timeout || (timeout->count() >= 1 && timeout->count() <= 3'600'000), "it is bounded");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) { return 0; }
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        read_accept(input);
        break;
    case 1:
    case 2:
        read_target(input);
        break;
    default:
        read_timeout(input);
    }
    return 0;
}
