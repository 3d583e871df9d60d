#include "prometheus_text_fixture.hpp"

#include <weft/testing/random.hpp>

#include <cmath>

namespace weft {
namespace {

using namespace testing;

// Whatever names, labels and values there are, what comes out is an exposition, and says what went in.
TEST(PrometheusText, ReadsBackAsWhatWasWritten) {
    auto random = Random::seeded("PrometheusText.ReadsBackAsWhatWasWritten");
    const auto any_text = [&](std::size_t size_max) {
        static const std::vector<std::string> pieces{
            "a",
            "b",
            "_",
            ".",
            ":",
            "0",
            "9",
            "-",
            " ",
            "\"",
            "\\",
            "\n",
            "\r",
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
            "\xf0\x9f\x98\x80",
            "\xff"};
        std::string text;
        const auto size = random.between(1, size_max);
        for (std::size_t i = 0; i < size; ++i) { text += pieces[random.below(pieces.size())]; }
        return text;
    };
    const auto any_double = [&]() -> double {
        switch (random.below(6)) {
        case 0:
            return not_a_number;
        case 1:
            return infinity;
        case 2:
            return static_cast<double>(static_cast<std::int64_t>(random.word())) / 1024;
        case 3:
            return static_cast<double>(random.below(1000));
        default:
            return std::ldexp(
                static_cast<double>(random.word()), static_cast<int>(random.below(600)) - 300);
        }
    };
    for (int round = 0; round < 300; ++round) {
        PrometheusTextOptions options;
        options.translation = static_cast<PrometheusTranslation>(random.below(4));
        options.scope_labels = random.below(2) == 0;
        const PrometheusProtocol protocol{
            static_cast<PrometheusFormat>(random.below(4)),
            static_cast<PrometheusEscaping>(random.below(4))};
        const bool open = is_open_metrics(protocol.format);
        const auto resource = encoded_attributes({{any_text(5), any_text(9)}});
        DiagnosticsOptions quiet;
        quiet.level = DiagnosticLevel::none;
        Diagnostics log(quiet);
        PrometheusText text(protocol, options, resource, log);
        std::size_t written = 0;
        std::size_t shown = 0;
        const auto value_text = any_text(20);
        for (int again = 0; again < 2; ++again) {
            text.start();
            const auto before = text.points_dropped();
            written = 0;
            for (std::size_t i = 0; i < 8; ++i) {
                const auto name = any_text(4);
                const auto unit = random.below(2) == 0 ? any_text(3) : "s";
                const auto help = any_text(10);
                const auto first = series({{any_text(3), value_text}, {any_text(3), any_text(5)}});
                const auto second = series({{any_text(3), 1}, {"extra", any_text(5)}});
                auto stream = random.below(2) == 0 ? counter(name, unit) : gauge(name, unit);
                stream.description = help;
                if (random.below(3) == 0) {
                    const double bounds[]{-5, 0, 2.5, 1e7};
                    const std::uint64_t counts[]{random.below(4), 1, 0, 2, random.below(9)};
                    const auto extra = encoded_attributes({{any_text(9), any_text(99)}});
                    const MetricExemplar exemplars[]{
                        exemplar(any_double(), 5, extra), exemplar(1, 6)};
                    stream.kind = MetricKind::histogram;
                    stream.boundaries = bounds;
                    text.begin(stream);
                    text.histogram(
                        {.series = first,
                         .times = times,
                         .sum = any_double(),
                         .buckets = counts,
                         .exemplars = exemplars});
                    text.histogram(
                        {.series = second, .times = times, .sum = any_double(), .buckets = counts});
                } else {
                    text.begin(stream);
                    text.number(
                        {.series = first, .times = times, .value = MetricNumber::of(any_double())});
                    text.number(
                        {.series = second,
                         .times = times,
                         .value = MetricNumber::of(any_double())});
                }
                text.end();
                written += 2;
            }
            const auto exposition = text.finish();
            std::vector<ParsedFamily> families;
            ASSERT_NO_THROW(families = ExpositionParser::parse(exposition, open)) << exposition;
            shown = 0;
            for (const auto& family : families) {
                if (family.name == "target" || family.name == "target_info") { continue; }
                for (const auto& sample : family.samples) {
                    const bool counts =
                        family.type == "histogram"
                            ? sample.labels.contains("le") && sample.labels.at("le") == "+Inf"
                            : !sample.name.ends_with("_created") ||
                                  family.name.ends_with("_created");
                    shown += counts ? 1 : 0;
                }
            }
            EXPECT_EQ(written, shown + text.points_dropped() - before) << exposition;
        }
    }
}

} // namespace
} // namespace weft
