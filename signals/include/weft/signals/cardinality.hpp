#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// One attribute key of a stream, as far as its values tell series apart.
struct KeyCardinality {
    std::string key;
    std::uint64_t distinct_values =
        0; ///< Of series and of what overflowed. An estimate: of 1000 to within a few, of 10000 a few in a hundred.
    std::vector<std::string>
        samples; ///< Up to five values, cut at 64 bytes. They may identify people.
};

/// How many attribute sets a stream has, and which key they come from.
struct CardinalityReport {
    std::string meter;
    std::string name;
    std::string file; ///< Where the instrument was defined first.
    std::uint32_t line = 0;
    std::size_t series = 0;
    std::size_t limit = 0;
    std::uint64_t overflowed = 0; ///< Measurements that went to the series `otel.metric.overflow`.
    std::uint64_t rejected = 0;   ///< Measurements that were dropped (OverflowMode::reject).
    std::vector<KeyCardinality> keys; ///< The key with most values first: the one that exploded.

    /// For people, a line for each key. `with_samples` false leaves the values out.
    [[nodiscard]] std::string to_text(bool with_samples = true) const;
};

} // namespace weft
