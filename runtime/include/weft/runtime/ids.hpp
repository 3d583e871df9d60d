#pragma once
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

namespace detail {
/// Lowercase hex of `size` bytes into `out` (2 * size characters, no terminator).
void write_hex(const std::uint8_t* bytes, std::size_t size, char* out) noexcept;
/// Reads exactly 2 * size hex digits; lowercase only unless `any_case`. False leaves `out` undefined.
[[nodiscard]] bool read_hex(
    std::string_view text, std::uint8_t* out, std::size_t size, bool any_case) noexcept;
} // namespace detail

/// An identifier of N bytes in network order. All zero means "none".
template <std::size_t N>
struct BasicId {
    std::array<std::uint8_t, N> bytes{};

    [[nodiscard]] bool is_valid() const noexcept {
        static_assert(N % sizeof(std::uint64_t) == 0);
        std::uint64_t
            words[N / sizeof(std::uint64_t)]; // By words: comparing arrays would call memcmp.
        std::memcpy(words, bytes.data(), N);
        std::uint64_t any = 0;
        for (const auto word : words) { any |= word; }
        return any != 0;
    }
    explicit operator bool() const noexcept { return is_valid(); }
    friend auto operator<=>(const BasicId&, const BasicId&) noexcept = default;

    /// Lowercase hex into a caller's buffer of 2 * N characters. Cost: no allocation.
    void to_hex(char* out) const noexcept { detail::write_hex(bytes.data(), N, out); }
    [[nodiscard]] std::string to_hex() const {
        std::string text(2 * N, '\0');
        to_hex(text.data());
        return text;
    }
    /// Lowercase hex of exactly 2 * N digits, as W3C asks. Uppercase is refused.
    [[nodiscard]] static std::optional<BasicId> from_hex(std::string_view text) noexcept {
        BasicId id;
        if (!detail::read_hex(text, id.bytes.data(), N, false)) { return std::nullopt; }
        return id;
    }
};

using TraceId = BasicId<16>; ///< Source: W3C Trace Context, "trace-id".
using SpanId = BasicId<8>;   ///< Source: W3C Trace Context, "parent-id".

namespace detail {

// xoshiro256++ (Blackman and Vigna, public domain): four words of state, full 64-bit output, period 2^256 - 1.
// Ids must be unique, not unguessable, so a fast generator per thread is enough. Inline: a span needs three words.
struct RandomGenerator {
    std::uint64_t s[4] = {};
    bool seeded = false; // Cleared in a forked child.

    void seed() noexcept;

    std::uint64_t next() noexcept {
        if (!seeded) [[unlikely]] { seed(); }
        return step();
    }
    std::uint64_t next_nonzero() noexcept {
        if (!seeded) [[unlikely]] { seed(); }
        return step_nonzero();
    }

    // For whoever has seen to the seed.
    std::uint64_t step() noexcept {
        const auto rotl = [](std::uint64_t x, int k) noexcept {
            return (x << k) | (x >> (64 - k));
        };
        const auto result = rotl(s[0] + s[3], 23) + s[0];
        const auto t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotl(s[3], 45);
        return result;
    }
    std::uint64_t step_nonzero() noexcept {
        std::uint64_t word = step();
        while (word == 0) { word = step(); } // Bound: zero comes up once in 2^64 words.
        return word;
    }
};
inline constinit thread_local RandomGenerator random_generator;

} // namespace detail

/// Random and never all zero; every bit of a trace id is random, so the W3C random flag may be set.
/// Threads: any (one generator a thread, seeded from the kernel, reseeded in a forked child).
/// Cost: a few nanoseconds, no system call after a thread's first id.
[[nodiscard]] inline TraceId random_trace_id() noexcept {
    auto& generator = detail::random_generator;
    const std::uint64_t words[2] = {generator.next(), generator.next_nonzero()};
    TraceId id;
    std::memcpy(id.bytes.data(), words, sizeof words);
    return id;
}
[[nodiscard]] inline SpanId random_span_id() noexcept {
    const auto word = detail::random_generator.next_nonzero();
    SpanId id;
    std::memcpy(id.bytes.data(), &word, sizeof word);
    return id;
}
/// Both at once, for a root span: the generator's state stays in registers.
inline void random_ids(TraceId& trace, SpanId& span) noexcept {
    auto& generator = detail::random_generator;
    if (!generator.seeded) [[unlikely]] { generator.seed(); }
    const std::uint64_t words[3] = {
        generator.step(), generator.step_nonzero(), generator.step_nonzero()};
    std::memcpy(trace.bytes.data(), words, sizeof trace.bytes);
    std::memcpy(span.bytes.data(), words + 2, sizeof span.bytes);
}
/// 64 random bits of the same generator, for sampling and jitter. Not for secrets.
[[nodiscard]] inline std::uint64_t random_u64() noexcept { return detail::random_generator.next(); }

} // namespace weft

template <std::size_t N>
struct std::hash<weft::BasicId<N>> {
    std::size_t operator()(const weft::BasicId<N>& id) const noexcept {
        std::uint64_t word; // Ids are random: any eight bytes are as good as a mixed hash.
        std::memcpy(&word, id.bytes.data() + N - sizeof word, sizeof word);
        return static_cast<std::size_t>(word);
    }
};
