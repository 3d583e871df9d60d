#include <weft/runtime/fork.hpp>
#include <weft/runtime/ids.hpp>

#include <sys/random.h>

#include <chrono>

namespace weft {
namespace {

// The forking thread is the only one in the child, so reseeding its own generator is all there is to do.
void reseed_in_child(void*) noexcept { detail::random_generator.seeded = false; }
[[maybe_unused]] detail::ForkGuard at_fork{
    {detail::ForkOrder::leaf, nullptr, nullptr, nullptr, reseed_in_child}};

constexpr char digits[] = "0123456789abcdef";

// Value of a hex digit, or 0xff.
constexpr std::uint8_t digit_value(char c, bool any_case) noexcept {
    if (c >= '0' && c <= '9') { return static_cast<std::uint8_t>(c - '0'); }
    if (c >= 'a' && c <= 'f') { return static_cast<std::uint8_t>(c - 'a' + 10); }
    if (any_case && c >= 'A' && c <= 'F') { return static_cast<std::uint8_t>(c - 'A' + 10); }
    return 0xff;
}

} // namespace

namespace detail {

void RandomGenerator::seed() noexcept {
    // A blocked or missing getrandom must not stop the host: fall back to clock and address.
    if (getrandom(s, sizeof s, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof s)) {
        auto mix = static_cast<std::uint64_t>(
                       std::chrono::steady_clock::now().time_since_epoch().count()) ^
                   reinterpret_cast<std::uintptr_t>(this);
        for (auto& word : s) { // splitmix64
            mix += 0x9e3779b97f4a7c15;
            auto z = mix;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
            z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
            word = z ^ (z >> 31);
        }
    }
    s[0] |= 1; // All-zero state is the one fixed point.
    seeded = true;
}

void write_hex(const std::uint8_t* bytes, std::size_t size, char* out) noexcept {
    for (std::size_t i = 0; i < size; ++i) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

bool read_hex(std::string_view text, std::uint8_t* out, std::size_t size, bool any_case) noexcept {
    if (text.size() != 2 * size) { return false; }
    std::uint8_t bad = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const auto high = digit_value(text[2 * i], any_case);
        const auto low = digit_value(text[2 * i + 1], any_case);
        bad |= static_cast<std::uint8_t>((high | low) & 0xf0);
        out[i] = static_cast<std::uint8_t>((high << 4) | (low & 15));
    }
    return bad == 0;
}

} // namespace detail

} // namespace weft
