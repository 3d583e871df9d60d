#pragma once
// Numbers as the text formats want them, into a caller's buffer.

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace weft::detail {

inline constexpr std::size_t number_bytes_max = 32; ///< Room for any of the numbers below.

inline char* put_text(char* out, std::string_view text) noexcept {
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

template <class Integer>
char* put_integer(char* out, Integer value) noexcept {
    return std::to_chars(out, out + number_bytes_max, value).ptr;
}

inline char* put_not_finite(char* out, double value) noexcept {
    return put_text(out, std::isnan(value) ? "NaN" : value < 0 ? "-Inf" : "+Inf");
}

/// A sample's value: the shortest text that reads back as the same. OpenMetrics marks floats by a point or an exponent.
inline char* put_double(char* out, double value, bool open_metrics) noexcept {
    // Nearly all values are small whole numbers, and integers are written several times faster than doubles.
    if (std::fabs(value) < 1e15) {
        const auto whole = static_cast<std::int64_t>(value);
        if (static_cast<double>(whole) == value && (whole != 0 || !std::signbit(value))) {
            out = put_integer(out, whole);
            return open_metrics ? put_text(out, ".0") : out;
        }
    } else if (!std::isfinite(value)) {
        return put_not_finite(out, value);
    }
    char* const end = std::to_chars(out, out + number_bytes_max, value).ptr;
    const std::string_view text(out, static_cast<std::size_t>(end - out));
    if (open_metrics && text.find_first_of(".e") == text.npos) { return put_text(end, ".0"); }
    return end;
}

/// A value of the label `le`. Scrapers compare it as text, so there is one form only: that of Go's `%g`, and in
/// OpenMetrics with a point or an exponent.
/// Source: OpenMetrics, "Considerations: Canonical Numbers".
inline char* put_bound(char* out, double value, bool open_metrics) noexcept {
    if (!std::isfinite(value)) { return put_not_finite(out, value); }
    if (value == 0) { return put_text(out, open_metrics ? "0.0" : "0"); }
    constexpr auto room = number_bytes_max;
    char* end = std::to_chars(out, out + room, value, std::chars_format::scientific).ptr;
    const std::string_view text(out, static_cast<std::size_t>(end - out));
    const auto mark = text.rfind('e');
    int exponent = 0;
    std::from_chars(text.data() + mark + 2, end, exponent);
    if (text[mark + 1] == '-') { exponent = -exponent; }
    if (exponent < -4 || exponent >= 6) {
        return end;
    } // Where %g of the shortest text changes over.
    end = std::to_chars(out, out + room, value, std::chars_format::fixed).ptr;
    const std::string_view fixed(out, static_cast<std::size_t>(end - out));
    return open_metrics && fixed.find('.') == fixed.npos ? put_text(end, ".0") : end;
}

/// Nanoseconds since 1970 as seconds. Shape: at least one digit behind the point.
inline char* put_seconds(char* out, std::int64_t unix_ns) noexcept {
    constexpr std::int64_t second = 1'000'000'000;
    out = put_integer(out, unix_ns / second);
    *out++ = '.';
    char digits[10];
    const auto fraction = second + unix_ns % second; // The leading one keeps the zeros behind it.
    std::to_chars(digits, digits + sizeof digits, fraction);
    std::size_t size = 9;
    while (size > 1 && digits[size] == '0') { --size; }
    return put_text(out, {digits + 1, size});
}

} // namespace weft::detail
