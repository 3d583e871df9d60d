#pragma once
#include <weft/signals/temporality.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft {

/// How the measurements of a stream become points.
/// Source: OpenTelemetry Metrics SDK, "Aggregation".
struct Aggregation {
    enum class Kind : std::uint8_t {
        by_instrument, ///< Sum, last value or explicit histogram, as the instrument is.
        drop,          ///< Nothing is recorded: a measurement is one branch.
        sum,
        last_value,
        explicit_histogram,
        exponential_histogram
    };
    Kind kind = Kind::by_instrument;
    /// Explicit histograms: upper bounds of all buckets but the last, strictly increasing, at most 512. Unset: the
    /// instrument's own, else the specification's.
    std::optional<std::vector<double>> boundaries{};
    /// Exponential histograms: most buckets of each sign. 2 to 320.
    std::uint32_t size_max = 160;
    /// Exponential histograms: the scale to begin with. -10 to 20.
    std::int32_t scale_max = 20;
    bool record_min_max = true;

    [[nodiscard]] static Aggregation drop() { return {.kind = Kind::drop}; }
    [[nodiscard]] static Aggregation histogram(std::vector<double> boundaries) {
        return {.kind = Kind::explicit_histogram, .boundaries = std::move(boundaries)};
    }
    [[nodiscard]] static Aggregation exponential(
        std::uint32_t size_max = 160, std::int32_t scale_max = 20) {
        return {.kind = Kind::exponential_histogram, .size_max = size_max, .scale_max = scale_max};
    }
};

/// Which instruments a view is for. All that are given must match; texts but `name` compare exactly.
struct InstrumentSelector {
    std::string name =
        "*"; ///< `*` stands for any text, `?` for any one character. Any letter case.
    std::optional<InstrumentKind> kind{};
    std::optional<std::string> unit{};
    std::optional<std::string> meter_name{};
    std::optional<std::string> meter_version{};
    std::optional<std::string> meter_schema_url{};
};

/// Which attributes make a series. What is left out is summed over, and still seen on exemplars.
struct AttributeFilter {
    std::optional<std::vector<std::string>> include{}; ///< Only these keys. Unset: all.
    std::vector<std::string> exclude{};                ///< Not these.
};

/// Changes what becomes of the instruments it selects. An instrument that several views select makes a stream for each.
/// Source: OpenTelemetry Metrics SDK, "View".
struct View {
    InstrumentSelector selector{};
    std::string name{}; ///< Empty: the instrument's. For a selector of one name.
    std::optional<std::string> description{}; ///< Unset: the instrument's.
    Aggregation aggregation{};
    AttributeFilter attributes{};
    std::size_t cardinality_limit = 0; ///< 0: MetricOptions::cardinality_limit.
};

/// Which measurements may become exemplars.
/// Source: OpenTelemetry Metrics SDK, "ExemplarFilter".
enum class ExemplarFilter : std::uint8_t {
    trace_based, ///< Those made inside of a sampled span.
    always_on,
    always_off
};

/// What becomes of a measurement whose attribute set would be one too many.
enum class OverflowMode : std::uint8_t {
    aggregate, ///< It goes to the series `otel.metric.overflow`.
    reject     ///< It is dropped and counted.
};

/// What a runtime's metrics do. Defaults are the OpenTelemetry specification's unless a comment says "ours".
struct MetricOptions {
    std::vector<View> views{};
    ExemplarFilter exemplar_filter = ExemplarFilter::trace_based;
    /// Most attribute sets of one stream, the overflow series apart. 1 to 1,000,000.
    std::size_t cardinality_limit = 2000;
    OverflowMode overflow = OverflowMode::aggregate; ///< Ours.
    /// A series without a measurement for so long is forgotten, and begins anew with its next one; zero: never. A sum that
    /// goes both ways is kept until it is 0. Ours.
    std::chrono::milliseconds idle_expiry{0};
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const MetricOptions& options);

} // namespace weft
