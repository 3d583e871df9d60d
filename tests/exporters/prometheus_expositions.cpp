// Writes expositions into a folder, for prometheus_oracles.py: conventional metrics that no linter may find fault with
// (lint_*), and random ones that every parser must read (random_*). The same collection is written in each format, and
// the samples it stands for as lines of JSON.
//
// usage: prometheus_expositions FOLDER SEED

#include "prometheus_points.hpp"

#include <weft/testing/random.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>

namespace {

using namespace weft;
using namespace weft::testing;

using Fill = std::function<void(MetricVisitor&)>;

void write(const std::string& path, const PrometheusTextOptions& options, const Fill& fill) {
    const auto resource = encoded_attributes(
        {{"service.name", "shop"}, {"process.pid", 42}, {"text", "a \"b\"\\\nc\r\xc3\xa9"}});
    DiagnosticsOptions quiet;
    quiet.level = DiagnosticLevel::none;
    Diagnostics log(quiet);
    for (const auto& [protocol, suffix] :
         {std::pair{text_protocol, ".txt"}, std::pair{open_metrics_protocol, ".om"}}) {
        PrometheusText text(protocol, options, resource, log);
        text.start();
        fill(text);
        std::ofstream(path + suffix, std::ios::binary) << text.finish();
    }
}

void conventional(MetricVisitor& out) {
    const auto get = series({{"http.request.method", "GET"}, {"http.response.status_code", 200}});
    const auto post = series({{"http.request.method", "POST"}, {"error.type", "a \"b\"\\\n"}});
    const auto none = series();
    const double bounds[]{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5,
                          0.75,  1,    2.5,   5,    7.5,   10,  1e6};
    const std::uint64_t counts[]{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const auto filtered = encoded_attributes({{"user.id", "u 1"}});
    const MetricExemplar exemplars[]{
        exemplar(0.004, 1700000001, filtered), exemplar(3, 1700000002)};

    auto stream = histogram("http.server.request.duration", bounds, "s");
    out.begin(stream);
    out.histogram(
        {.series = get, .times = times, .sum = 123.456, .buckets = counts, .exemplars = exemplars});
    out.histogram({.series = post, .times = times, .sum = 0, .buckets = counts});
    out.end();

    put_numbers<std::int64_t>(
        out, counter("messages.sent", "{message}"), {{&get, 12}, {&none, 9007199254740993}});
    put_numbers<double>(out, counter("process.cpu.time", "s"), {{&none, 1.5e9}, {&post, 0.1}});
    put_numbers<std::int64_t>(out, gauge("process.memory.usage", "By"), {{&none, -5}});
    put_numbers<double>(
        out, gauge("system.cpu.utilization", "1"), {{&none, std::nan("")}, {&get, -INFINITY}});

    auto exponential = histogram("task.duration", {}, "s");
    exponential.kind = MetricKind::exponential_histogram;
    const std::vector<std::uint64_t> up(160, 3);
    out.begin(exponential);
    auto point = exponential_point(get);
    point.exemplars = exemplars;
    point.sum = 77;
    point.scale = 4;
    point.zero_count = 1;
    point.positive = {-80, up};
    out.exponential_histogram(point);
    out.end();

    auto other = counter("messages.sent", "{message}");
    other.scope = scope("other", "");
    put_numbers<std::int64_t>(out, other, {{&get, 1}});
}

// What no scraper may stumble over, whatever it thinks of it.
void random_metrics(MetricVisitor& out, std::uint64_t seed) {
    Random random(seed);
    const auto any_text = [&](std::size_t size_max) {
        static const std::vector<std::string> pieces{"a",
                                                     "B",
                                                     "_",
                                                     ".",
                                                     ":",
                                                     "7",
                                                     "-",
                                                     " ",
                                                     "\"",
                                                     "\\",
                                                     "\n",
                                                     "\t",
                                                     "{",
                                                     "}",
                                                     "=",
                                                     ",",
                                                     "#",
                                                     "\x01",
                                                     "\x7f",
                                                     "\xc3\xa9",
                                                     "\xe2\x82\xac",
                                                     "\xf0\x9f\x98\x80"};
        std::string text;
        const auto size = random.between(1, size_max);
        for (std::size_t i = 0; i < size; ++i) { text += random.pick(pieces); }
        return text;
    };
    const auto any_double = [&]() -> double {
        if (random.one_in(8)) { return random.one_in(2) ? std::nan("") : INFINITY; }
        return std::ldexp(
            static_cast<double>(random.word()), static_cast<int>(random.below(300)) - 200);
    };
    for (int i = 0; i < 12; ++i) {
        const auto name = "m" + std::to_string(i) + any_text(5);
        const auto help = any_text(12);
        const auto first = series({{any_text(4), any_text(9)}, {any_text(4), any_text(9)}});
        const auto second = series({{any_text(4), 5}, {"only", any_text(9)}});
        const std::string unit = random.one_in(2) ? any_text(3) : "By";
        auto stream = random.one_in(2) ? counter(name, unit) : gauge(name, unit);
        stream.description = help;
        if (random.one_in(3)) {
            std::vector<double> bounds{-2.5, 0};
            if (random.one_in(2)) { bounds.clear(); }
            for (int b = 1; b < 8; ++b) { bounds.push_back(std::ldexp(1.1, 3 * b - 12)); }
            std::vector<std::uint64_t> counts(bounds.size() + 1);
            for (auto& count : counts) { count = random.below(5); }
            // The Python client takes a '}' within an exemplar's label for the end of the labels.
            auto long_text = any_text(80);
            std::erase(long_text, '}');
            const auto extra =
                encoded_attributes({{any_text(9), long_text}, {any_text(9), "x" + long_text}});
            const MetricExemplar exemplars[]{exemplar(std::fabs(any_double()), 1700000001, extra)};
            stream.kind = MetricKind::histogram;
            stream.boundaries = bounds;
            out.begin(stream);
            out.histogram(
                {.series = first,
                 .times = times,
                 .sum = any_double(),
                 .buckets = counts,
                 .exemplars = exemplars});
            out.histogram(
                {.series = second, .times = times, .sum = any_double(), .buckets = counts});
        } else {
            out.begin(stream);
            out.number({.series = first, .times = times, .value = MetricNumber::of(any_double())});
            out.number(
                {.series = second,
                 .times = times,
                 .value = MetricNumber::of(static_cast<std::int64_t>(random.word() >> 1))});
        }
        out.end();
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) { return 2; }
    const std::string folder = argv[1];
    const auto seed = std::strtoull(argv[2], nullptr, 10);
    weft::PrometheusTextOptions options;
    write(folder + "/lint_default", options, conventional);
    options.scope_labels = options.target_info = options.created = false;
    write(folder + "/lint_bare", options, conventional);
    for (std::uint64_t i = 0; i < 20; ++i) {
        options = {};
        options.translation = static_cast<weft::PrometheusTranslation>(i % 4);
        options.created = i % 3 != 0;
        write(folder + "/random_" + std::to_string(i), options, [&](weft::MetricVisitor& out) {
            random_metrics(out, seed + i);
        });
    }
    return 0;
}
