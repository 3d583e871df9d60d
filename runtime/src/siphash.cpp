#include <weft/runtime/siphash.hpp>

#include <sys/random.h>

#include <bit>
#include <cstddef>

namespace weft::detail {
namespace {

// Little-endian, whatever the machine.
std::uint64_t read(const std::uint8_t* p, std::size_t bytes) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < bytes; ++i) { word |= std::uint64_t{p[i]} << (8 * i); }
    return word;
}

void write(std::uint64_t word, std::uint8_t* p) noexcept {
    for (int i = 0; i < 8; ++i) { p[i] = static_cast<std::uint8_t>(word >> (8 * i)); }
}

struct State {
    std::uint64_t v0, v1, v2, v3;

    State(const SipKey& key, bool wide) noexcept {
        const auto k0 = read(key.bytes.data(), 8);
        const auto k1 = read(key.bytes.data() + 8, 8);
        v0 = k0 ^ 0x736f6d6570736575;
        v1 = k1 ^ 0x646f72616e646f6d ^ (wide ? 0xeeu : 0u);
        v2 = k0 ^ 0x6c7967656e657261;
        v3 = k1 ^ 0x7465646279746573;
    }
    void rounds(int count) noexcept {
        for (int i = 0; i < count; ++i) {
            v0 += v1;
            v1 = std::rotl(v1, 13) ^ v0;
            v0 = std::rotl(v0, 32);
            v2 += v3;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1;
            v1 = std::rotl(v1, 17) ^ v2;
            v2 = std::rotl(v2, 32);
        }
    }
    void add(std::uint64_t word) noexcept {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    }
    void add(std::string_view text) noexcept {
        const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
        std::size_t left = text.size();
        for (; left >= 8; left -= 8, p += 8) { add(read(p, 8)); }
        add(read(p, left) | std::uint64_t{text.size() & 0xff} << 56);
    }
    std::uint64_t finish(std::uint64_t mark) noexcept {
        v2 ^= mark;
        rounds(4);
        return v0 ^ v1 ^ v2 ^ v3;
    }
};

} // namespace

std::optional<SipKey> SipKey::random() noexcept {
    SipKey key;
    const auto got = getrandom(key.bytes.data(), key.bytes.size(), GRND_NONBLOCK);
    if (got != static_cast<ssize_t>(key.bytes.size())) { return std::nullopt; }
    return key;
}

std::uint64_t siphash(const SipKey& key, std::string_view text) noexcept {
    State state(key, false);
    state.add(text);
    return state.finish(0xff);
}

SipDigest siphash_digest(const SipKey& key, std::string_view text) noexcept {
    State state(key, true);
    state.add(text);
    SipDigest digest;
    write(state.finish(0xee), digest.data());
    state.v1 ^= 0xdd;
    write(state.finish(0), digest.data() + 8);
    return digest;
}

bool equal_in_constant_time(const SipDigest& a, const SipDigest& b) noexcept {
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        // volatile: a compiler may otherwise leave the loop at the first difference.
        const volatile std::uint8_t one = a[i];
        difference |= static_cast<unsigned>(one) ^ b[i];
    }
    return difference == 0;
}

} // namespace weft::detail
