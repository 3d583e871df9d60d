#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/ids.hpp>
#include <weft/signals/label.hpp>

#include <atomic>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace weft {
namespace {

struct KeptKey {
    detail::SipKey key;
    const KeptKey* before; // Never freed: it may be in use.
};
// Null: the random key. Written by set_label_key, read for every label. release -> acquire: K1, the key behind it.
constinit std::atomic<const KeptKey*> key_set{nullptr};

detail::SipKey random_key() noexcept {
    if (const auto key = detail::SipKey::random()) { return *key; }
    diagnostics().report(
        DiagnosticLevel::warning, "metrics.label_key",
        "the system has no random bytes: the key of hashed labels can be guessed; set one with "
        "set_label_key");
    detail::SipKey key;
    const std::uint64_t words[] = {random_u64(), random_u64()};
    std::memcpy(key.bytes.data(), words, sizeof words);
    return key;
}

LabelText<16> hash(std::string_view value, const detail::SipKey& key) noexcept {
    const std::uint64_t bits = detail::siphash(key, value);
    std::array<char, 16> digits;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        digits[i] = "0123456789abcdef"[(bits >> (60 - 4 * i)) & 15];
    }
    return LabelText<16>({digits.data(), digits.size()});
}

LabelText<10> bucket(std::string_view value, std::uint32_t n, const detail::SipKey& key) noexcept {
    // 32 bits, scaled: as even as a remainder.
    const std::uint64_t half = detail::siphash(key, value) & 0xffffffff;
    return LabelText<10>(detail::IntegerText((half * (n == 0 ? 1 : n)) >> 32).view());
}

} // namespace

std::optional<LabelKey> LabelKey::from_hex(std::string_view text) noexcept {
    detail::SipKey key;
    if (!detail::read_hex(text, key.bytes.data(), key.bytes.size(), true)) { return std::nullopt; }
    return LabelKey(key);
}

LabelKey LabelKey::from_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::array<char, 64> text;
    file.read(text.data(), text.size());
    std::string_view digits(text.data(), static_cast<std::size_t>(file.gcount()));
    digits = digits.substr(0, digits.find_last_not_of(" \t\r\n") + 1);
    if (const auto key = from_hex(digits)) { return *key; }
    throw std::invalid_argument(
        "label key file " + printable(path, 256) +
        " cannot be read or does not hold 32 hexadecimal digits; make one with: openssl rand -hex "
        "16");
}

void set_label_key(const LabelKey& key) {
    // relaxed on failure: only the pointer is kept.
    auto* const kept = new KeptKey{key.sip_key(), key_set.load(std::memory_order_relaxed)};
    while (!key_set.compare_exchange_weak( // Bound: a failure is another thread's success.
        kept->before, kept, std::memory_order_release, std::memory_order_relaxed)) {} // K1.
}

const detail::SipKey& detail::label_key() noexcept {
    if (const auto* set = key_set.load(std::memory_order_acquire)) { return set->key; } // K1.
    static const SipKey random = random_key();
    return random;
}

LabelText<16> hashed_label(std::string_view value) noexcept {
    return hash(value, detail::label_key());
}
LabelText<16> hashed_label(std::string_view value, const LabelKey& key) noexcept {
    return hash(value, key.sip_key());
}
LabelText<10> label_bucket(std::string_view value, std::uint32_t n) noexcept {
    return bucket(value, n, detail::label_key());
}
LabelText<10> label_bucket(std::string_view value, std::uint32_t n, const LabelKey& key) noexcept {
    return bucket(value, n, key.sip_key());
}

} // namespace weft
