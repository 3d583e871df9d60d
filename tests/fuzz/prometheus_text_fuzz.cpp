// Names, units, descriptions, attributes and exemplars through an exposition and back. The first byte picks format and
// escaping, the second the translation and options; the rest is texts, each behind its length. Whatever the bytes, what
// comes out is an exposition by the grammar's letter, and every point is in it or counted as dropped.

#include "prometheus_parser.hpp"
#include "prometheus_points.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace {

using namespace weft;
using namespace weft::testing;

class Input {
public:
    Input(const std::uint8_t* data, std::size_t size)
        : rest_(reinterpret_cast<const char*>(data), size) {}
    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
    std::uint8_t byte() {
        if (rest_.empty()) { return 0; }
        const auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    std::string_view text() {
        const auto size = std::min<std::size_t>(byte() % 64, rest_.size());
        const auto piece = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return piece;
    }
    double number() {
        double value = 0;
        const auto piece = text();
        std::memcpy(&value, piece.data(), std::min(piece.size(), sizeof value));
        return value;
    }

private:
    std::string_view rest_;
};

struct Written {
    std::uint64_t points = 0;
};

void put_stream(Input& input, PrometheusText& text, Written& written) {
    const auto shape = input.byte();
    const auto name = input.text();
    const auto unit = input.text();
    auto stream = shape % 2 == 0 ? counter(name, unit) : gauge(name, unit);
    stream.description = input.text();
    auto first = series({{input.text(), input.text()}, {input.text(), input.text()}});
    auto second = series({{input.text(), input.byte()}});
    // Two series of a stream have never the same attributes.
    if (second.attributes == first.attributes) { second = series({{"second", true}}); }
    const auto filtered = encoded_attributes({{input.text(), input.text()}});
    const MetricExemplar exemplars[]{exemplar(input.number(), 5, filtered)};
    if (shape % 3 == 0) {
        const double bounds[]{-1, 0.5, 1e7};
        const std::uint64_t counts[]{input.byte(), input.byte(), input.byte(), input.byte()};
        stream.kind = MetricKind::histogram;
        stream.boundaries = bounds;
        text.begin(stream);
        for (const auto* one : {&first, &second}) {
            text.histogram(
                {.series = *one,
                 .times = times,
                 .sum = input.number(),
                 .buckets = counts,
                 .exemplars = exemplars});
        }
        text.end();
    } else {
        text.begin(stream);
        for (const auto* one : {&first, &second}) {
            text.number(
                {.series = *one,
                 .times = times,
                 .value = MetricNumber::of(input.number()),
                 .exemplars = exemplars});
        }
        text.end();
    }
    written.points += 2;
}

std::uint64_t points_in(const std::vector<ParsedFamily>& families) {
    std::uint64_t count = 0;
    for (const auto& family : families) {
        if (family.name == "target" || family.name == "target_info") { continue; }
        for (const auto& sample : family.samples) {
            const auto suffix = sample.name.substr(family.name.size());
            if (family.type == "histogram") {
                count += suffix == "_bucket" && sample.labels.at("le") == "+Inf" ? 1 : 0;
            } else {
                count += suffix == "_created" ? 0 : 1;
            }
        }
    }
    return count;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const auto format = input.byte();
    const auto settings = input.byte();
    const PrometheusProtocol protocol{
        static_cast<PrometheusFormat>(format % 4), static_cast<PrometheusEscaping>(format / 4 % 4)};
    PrometheusTextOptions options;
    options.translation = static_cast<PrometheusTranslation>(settings % 4);
    options.scope_labels = (settings & 4) != 0;
    options.created = (settings & 8) != 0;
    const auto resource = encoded_attributes({{input.text(), input.text()}});
    DiagnosticsOptions quiet;
    quiet.level = DiagnosticLevel::none;
    static Diagnostics log(quiet);
    PrometheusText text(protocol, options, resource, log);
    text.start();
    Written written;
    for (int i = 0; i < 8 && !input.empty(); ++i) { put_stream(input, text, written); }
    const auto exposition = text.finish();
    try {
        const auto families = ExpositionParser::parse(exposition, is_open_metrics(protocol.format));
        if (points_in(families) + text.points_dropped() != written.points) {
            throw std::runtime_error("points are lost uncounted");
        }
    } catch (const std::runtime_error& error) {
        std::fprintf(
            stderr, "broken promise: %s\n%.*s\n", error.what(), static_cast<int>(exposition.size()),
            exposition.data());
        std::abort();
    }
    return 0;
}
