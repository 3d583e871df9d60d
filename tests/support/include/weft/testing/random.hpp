#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

namespace weft::testing {

/// Random choices for a test. Each run takes another seed and prints it; with WEFT_TEST_SEED set to what
/// was printed, the same choices are made again. Threads: one at a time.
class Random {
public:
    explicit Random(std::uint64_t seed) : generator_(seed) {}

    /// A generator with a fresh seed, printed under the test's `name`.
    [[nodiscard]] static Random seeded(const char* name) {
        const char* given = std::getenv("WEFT_TEST_SEED");
        const std::uint64_t seed =
            given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
        std::printf("%s: WEFT_TEST_SEED=%llu\n", name, static_cast<unsigned long long>(seed));
        return Random(seed);
    }

    [[nodiscard]] std::uint64_t word() { return generator_(); }
    /// 0 to `bound` - 1.
    [[nodiscard]] std::size_t below(std::size_t bound) { return word() % bound; }
    [[nodiscard]] std::size_t between(std::size_t first, std::size_t last) {
        return first + below(last - first + 1);
    }
    [[nodiscard]] bool one_in(std::size_t n) { return below(n) == 0; }
    template <class Container>
    [[nodiscard]] const auto& pick(const Container& from) {
        return from[below(std::size(from))];
    }
    [[nodiscard]] std::string bytes(std::size_t count) {
        std::string out(count, '\0');
        for (char& c : out) { c = static_cast<char>(word()); }
        return out;
    }

private:
    std::mt19937_64 generator_;
};

} // namespace weft::testing
