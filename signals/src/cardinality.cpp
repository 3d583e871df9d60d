#include "attribute_key.hpp"
#include "key_sketch.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/cardinality.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace weft {
namespace detail {

void KeySketch::add(std::string_view attribute_key) {
    for_each_part(attribute_key, [this](const KeyPart& part) {
        auto found = std::find_if(
            keys_.begin(), keys_.end(), [&](const Key& key) { return key.name == part.key; });
        if (found == keys_.end()) {
            if (keys_.size() == keys_max) { return; }
            keys_.emplace_back().name = part.key;
            found = std::prev(keys_.end());
        }
        const auto bit = hash_bytes(part.value, static_cast<std::uint64_t>(part.type)) % bits;
        auto& word = found->seen[bit / 64];
        const auto mask = std::uint64_t{1} << (bit % 64);
        if ((word & mask) != 0) { return; }
        word |= mask;
        ++found->seen_bits;
        if (found->samples.size() < samples_max) {
            found->samples.push_back(printable(value_text(part), 64));
        }
    });
}

std::vector<KeyCardinality> KeySketch::report() const {
    std::vector<KeyCardinality> report;
    for (const auto& key : keys_) {
        // Of `bits` places, those still free tell how many values there were, however many shared one.
        const auto free = static_cast<double>(std::max<std::size_t>(bits - key.seen_bits, 1));
        const double estimate = -static_cast<double>(bits) * std::log(free / bits);
        report.push_back(
            {key.name, static_cast<std::uint64_t>(std::llround(estimate)), key.samples});
    }
    std::stable_sort(report.begin(), report.end(), [](const auto& a, const auto& b) {
        return a.distinct_values > b.distinct_values;
    });
    return report;
}

} // namespace detail

std::string CardinalityReport::to_text(bool with_samples) const {
    std::string text = fmt::format(
        "{} ({}), defined at {}:{}: {} of {} series", name, meter, file, line, series, limit);
    if (overflowed != 0) { text += fmt::format(", {} measurements overflowed", overflowed); }
    if (rejected != 0) { text += fmt::format(", {} measurements rejected", rejected); }
    text += '\n';
    for (const auto& key : keys) {
        text += fmt::format("  {}: {} values", key.key, key.distinct_values);
        if (with_samples) {
            const char* separator = ", such as ";
            for (const auto& sample : key.samples) {
                text += fmt::format("{}\"{}\"", std::exchange(separator, ", "), sample);
            }
        }
        text += '\n';
    }
    return text;
}

} // namespace weft
