#pragma once
// Attribute values that are fit for metrics: few of them, and none that names a person. Nothing here allocates or throws,
// unless it says so.
//
//     weft::PathBuffer path;
//     requests.add(1, {{"tenant", weft::hashed_label(tenant)}, {"path", weft::normalize_path(target, path)}});

#include <weft/runtime/siphash.hpp>
#include <weft/signals/attribute.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weft {

/// A short text in storage of its own, to be used as an attribute value where it is made. Lifetime: of the value, as long as
/// this is.
template <std::size_t Capacity>
class LabelText {
public:
    constexpr explicit LabelText(std::string_view text) noexcept
        : size_(static_cast<std::uint8_t>(std::min(text.size(), Capacity))) {
        std::copy_n(text.data(), size_, text_.data());
    }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {text_.data(), size_}; }
    operator AttributeValue() const noexcept { return view(); }
    friend constexpr bool operator==(const LabelText& a, const LabelText& b) noexcept {
        return a.view() == b.view();
    }

private:
    static_assert(Capacity < 256);
    std::uint8_t size_;
    std::array<char, Capacity> text_{};
};

/// The secret behind hashed labels. Whoever has it can try names until one fits; nobody else can.
class LabelKey {
public:
    /// 32 hexadecimal digits, such as `openssl rand -hex 16` prints. Nullopt: anything else.
    [[nodiscard]] static std::optional<LabelKey> from_hex(std::string_view text) noexcept;
    /// A file of 32 hexadecimal digits; blanks and newlines at its end are left out. Errors: std::invalid_argument, that
    /// names the path and not what is in it.
    [[nodiscard]] static LabelKey from_file(const std::string& path);

    [[nodiscard]] const detail::SipKey& sip_key() const noexcept { return key_; }

private:
    explicit LabelKey(const detail::SipKey& key) noexcept : key_(key) {}
    detail::SipKey key_;
};

/// Sets the process's key, for hashes that are the same in every process and after every restart. Until then it is random, and
/// of this process. To be called once, before anything is measured: labels made later differ from earlier ones.
/// Threads: any. Errors: std::bad_alloc.
void set_label_key(const LabelKey& key);

namespace detail {
/// The process's key. Made at random when it is first asked for. Threads: any.
[[nodiscard]] const SipKey& label_key() noexcept;

// Enough for any 64-bit integer.
struct IntegerText {
    template <std::integral T>
    explicit IntegerText(T value) noexcept {
        end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    }
    [[nodiscard]] std::string_view view() const noexcept {
        return {text.data(), static_cast<std::size_t>(end - text.data())};
    }
    std::array<char, 24> text;
    const char* end = nullptr;
};
} // namespace detail

/// 16 hexadecimal digits that stand for `value`: series can be told apart, people cannot be named. There are still as many
/// series as values; where that is too many, use label_bucket. Cost: about 20 ns for short texts.
[[nodiscard]] LabelText<16> hashed_label(std::string_view value) noexcept;
[[nodiscard]] LabelText<16> hashed_label(std::string_view value, const LabelKey& key) noexcept;
/// As its decimal text.
template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char>)
    [[nodiscard]] LabelText<16> hashed_label(T value) noexcept {
    return hashed_label(detail::IntegerText(value).view());
}

/// "0" to "n - 1": always the same for one value, and nobody can tell which values share it. At most `n` series, however
/// many values there are. `n`: at least 1; 0 is taken for 1.
[[nodiscard]] LabelText<10> label_bucket(std::string_view value, std::uint32_t n) noexcept;
[[nodiscard]] LabelText<10> label_bucket(
    std::string_view value, std::uint32_t n, const LabelKey& key) noexcept;
template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char>)
    [[nodiscard]] LabelText<10> label_bucket(T value, std::uint32_t n) noexcept {
    return label_bucket(detail::IntegerText(value).view(), n);
}

/// Room for normalize_path.
using PathBuffer = std::array<char, 128>;

inline constexpr std::size_t path_segments_max = 8;
inline constexpr std::size_t path_segment_bytes_max = 32;

/// A request target as a path of low cardinality: `/users/1017/orders?page=2` becomes `/users/{id}/orders`.
///
/// Left out: scheme and authority, query, fragment, parameters behind ';', empty segments. Replaced, whole or between
/// '-', '_', '.' and the like: numbers `{id}`, UUIDs `{uuid}`, dates `{date}`, hexadecimal of 8 digits and more `{hex}`,
/// mixtures that no word looks like `{token}`, what has an '@' `{email}`, what is not printable ASCII or has 3
/// percent-escapes `{text}`, more than 32 bytes `{long}`; what is beyond 8 segments or the buffer `{more}`.
/// Percent-escapes are left as they are. A normal path stays as it is.
///
/// It is a guess, and words that somebody makes up pass: a router's template is better, see route_label.
/// Lifetime: of the buffer. Bound: the buffer's size; 7 bytes hold the shortest path, `/{more}`.
[[nodiscard]] std::string_view normalize_path(
    std::string_view target, std::span<char> buffer) noexcept;

/// The router's template, such as `http::Request::route()`; where there is none (a 404, a route of `{rest...}` alone),
/// the normal path. Lifetime: of `route` or the buffer.
[[nodiscard]] std::string_view route_label(
    std::string_view route, std::string_view target, std::span<char> buffer) noexcept;

} // namespace weft
