#pragma once
// Percent-encoding of UTF-8 in header values.
#include <weft/runtime/baggage.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft::detail {

/// RFC 7230 token: what a header's name and a baggage's name on the wire are made of.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// Appends to a buffer of fixed size, as long as it fits.
class BoundedText {
public:
    BoundedText(char* out, std::size_t room) noexcept : out_(out), room_(room) {}
    void put(char c) noexcept {
        if (chars_ < room_) { out_[chars_] = c; }
        ++chars_;
    }
    void put(std::string_view text) noexcept {
        for (const char c : text) { put(c); }
    }
    /// As it is where `keeps(c)`, else as %XX.
    template <class Keeps>
    void put_encoded(std::string_view text, Keeps keeps) noexcept {
        constexpr std::string_view digits = "0123456789ABCDEF";
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (keeps(byte)) {
                put(c);
            } else {
                put('%');
                put(digits[byte >> 4]);
                put(digits[byte & 15]);
            }
        }
    }
    /// What was put, whether it fitted or not.
    [[nodiscard]] std::size_t chars() const noexcept { return chars_; }
    [[nodiscard]] bool fits() const noexcept { return chars_ <= room_; }

private:
    char* out_;
    std::size_t room_;
    std::size_t chars_ = 0;
};

/// Decodes a value into memory of its own.
class DecodedText {
public:
    // The arrays are left uninitialised on purpose.
    DecodedText() noexcept {} // NOLINT(modernize-use-equals-default)

    /// A percent sign that begins no escape stands for itself; bad UTF-8 becomes U+FFFD. nullopt: longer than a baggage
    /// can be. Lifetime: until the next call.
    [[nodiscard]] std::optional<std::string_view> decode(
        std::string_view text, bool plus_is_space) noexcept;
    /// The same for text without escapes.
    [[nodiscard]] std::optional<std::string_view> repair(std::string_view text) noexcept;

private:
    std::array<char, Baggage::bytes_max> decoded_;
    std::array<char, Baggage::bytes_max> repaired_;
};

} // namespace weft::detail
