#pragma once
// What is known of the streams of earlier expositions, so that a stream costs a comparison and not a translation.
// Streams come in much the same order each time: every entry remembers which one came after it.

#include "prometheus_names.hpp"

#include <weft/runtime/diagnostics.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft::detail {

/// All samples of one TYPE line.
struct Family {
    std::string name; ///< Of the TYPE line.
    FamilyType type = FamilyType::gauge;
    std::string header;               ///< TYPE, UNIT and HELP lines.
    std::string help;                 ///< As given.
    std::vector<std::string> claimed; ///< The family's name and its samples' names.
    std::uint64_t exposition = 0;     ///< The last one that it was in.
    std::uint32_t first_segment = 0;  ///< Of that exposition.
    std::uint32_t last_segment = 0;
    bool may_repeat = false; ///< Two points of that exposition may have the same labels.
};

/// The beginning of a line, up to where a series' own labels go.
struct LinePrefix {
    std::string text;
    std::string bare;        ///< For a series without labels where the stream has none either.
    bool has_labels = false; ///< Whether a label follows with a comma.
};

/// One stream, and how its lines begin.
struct StreamEntry {
    // What it is known by.
    std::uint16_t scope = 0;
    MetricKind kind = MetricKind::sum;
    Temporality temporality = Temporality::cumulative;
    bool is_monotonic = false;
    std::string name;
    std::string description;
    std::string unit;
    std::vector<double> boundaries;

    Family* family = nullptr; ///< Null: the stream is not exposed, for a reason that was reported.
    FamilyType type = FamilyType::gauge;
    LinePrefix sample;
    LinePrefix bucket;
    LinePrefix count;
    LinePrefix sum;
    LinePrefix created;
    std::vector<std::string>
        bounds; ///< `le="0.1"} ` for each boundary and +Inf; empty for an infinite boundary.
    std::vector<std::string> taken; ///< Labels that are not the series' to have.
    std::size_t line_bytes_max =
        0; ///< Of any of its lines, without the series' labels and the exemplar.

    StreamEntry* next = nullptr; ///< What came behind it last time.

    [[nodiscard]] bool is(const MetricStream& stream) const noexcept;
};

class PrometheusFamilies {
public:
    struct Options {
        PrometheusNaming naming;
        bool scope_labels = true;
        std::string constant_labels;             ///< `,name="value"` for each.
        std::vector<std::string> constant_names; ///< Of those.
    };
    PrometheusFamilies(Options options, Diagnostics& log);

    /// Keeps all streams from a name. For target_info.
    void claim(std::string_view name);

    [[nodiscard]] StreamEntry& entry_of(const MetricStream& stream);

    /// Between two expositions. Forgets everything once most of what is known was not seen in the last one.
    void new_exposition();

    /// How a bound looks behind the other labels of a bucket.
    [[nodiscard]] std::string bound_text(double bound) const;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>()(text);
        }
    };

    [[nodiscard]] std::unique_ptr<StreamEntry> make(const MetricStream& stream);
    [[nodiscard]] std::string scope_labels(
        std::uint16_t scope, std::vector<std::string>& names) const;
    void set_family(StreamEntry& entry, const FamilyName& name);
    [[nodiscard]] LinePrefix prefix(const std::string& name, std::string_view labels) const;
    [[nodiscard]] std::string header_of(
        const Family& family, const FamilyName& name, std::string_view description) const;
    void report(const StreamEntry& entry, std::string_view reason) const;

    Options options_;
    Diagnostics& log_;
    std::unordered_multimap<std::string, std::unique_ptr<StreamEntry>, Hash, std::equal_to<>>
        entries_; // By name.
    std::unordered_map<std::string, Family*, Hash, std::equal_to<>>
        claims_; // Null: of target_info.
    std::vector<std::unique_ptr<Family>> families_;
    std::vector<std::string> own_names_;
    StreamEntry* first_ = nullptr;
    StreamEntry* last_ = nullptr;
    std::size_t seen_ = 0; // Streams of this exposition.
};

} // namespace weft::detail
