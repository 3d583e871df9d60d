#pragma once
#include <weft/signals/cardinality.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

/// Estimates how many values each attribute key has had, in memory that does not grow with them (linear counting).
/// Threads: one at a time.
class KeySketch {
public:
    /// Looks at every attribute of a key (attribute_key.hpp). Errors: std::bad_alloc.
    void add(std::string_view attribute_key);
    /// The key with most values first.
    [[nodiscard]] std::vector<KeyCardinality> report() const;
    void clear() noexcept { keys_.clear(); }

private:
    static constexpr std::size_t keys_max = 64;
    static constexpr std::size_t samples_max = 5;
    static constexpr std::size_t bits = 16384;
    struct Key {
        std::string name;
        std::vector<std::uint64_t> seen = std::vector<std::uint64_t>(bits / 64);
        std::size_t seen_bits = 0;
        std::vector<std::string> samples;
    };
    std::vector<Key> keys_;
};

} // namespace weft::detail
