#pragma once
// A keyed hash of short texts: without the key nobody can tell which text a hash stands for, or find two that share one.
// For labels that identify people, and for comparing secrets.
// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), SipHash-2-4.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft::detail {

struct SipKey {
    std::array<std::uint8_t, 16> bytes{};

    /// From the kernel's random source. Nullopt: it has none yet, or none at all.
    [[nodiscard]] static std::optional<SipKey> random() noexcept;
};

using SipDigest = std::array<std::uint8_t, 16>;

/// Cost: about 1 ns for each byte of short texts. Threads: any.
[[nodiscard]] std::uint64_t siphash(const SipKey& key, std::string_view text) noexcept;
/// The form of 128 bits.
[[nodiscard]] SipDigest siphash_digest(const SipKey& key, std::string_view text) noexcept;

/// Takes as long whether they are equal or not, and wherever they differ.
[[nodiscard]] bool equal_in_constant_time(const SipDigest& a, const SipDigest& b) noexcept;

} // namespace weft::detail
