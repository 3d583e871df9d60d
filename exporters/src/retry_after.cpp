#include "retry_after.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace weft::detail {
namespace {

using std::chrono::sys_seconds;

constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> short_days{"Mon", "Tue", "Wed", "Thu",
                                                     "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 7> long_days{"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                    "Friday", "Saturday", "Sunday"};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Takes the three date grammars apart from left to right; the first mismatch is remembered and
// later steps do nothing.
class Cursor {
public:
    explicit Cursor(std::string_view text) noexcept : rest_(text) {}

    [[nodiscard]] bool finished() const noexcept { return good_ && rest_.empty(); }
    [[nodiscard]] bool next_is(char c) const noexcept { return good_ && rest_.starts_with(c); }

    void literal(std::string_view text) noexcept {
        good_ = good_ && rest_.starts_with(text);
        if (good_) { rest_.remove_prefix(text.size()); }
    }

    // Exactly `count` digits.
    int digits(std::size_t count) noexcept {
        good_ = good_ && rest_.size() >= count &&
                std::all_of(
                    rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(count), is_digit);
        if (!good_) { return 0; }
        int value = 0;
        for (std::size_t i = 0; i < count; ++i) { value = value * 10 + (rest_[i] - '0'); }
        rest_.remove_prefix(count);
        return value;
    }

    // One of the names; answers its index.
    template <std::size_t N>
    std::size_t one_of(const std::array<std::string_view, N>& names) noexcept {
        for (std::size_t i = 0; good_ && i < N; ++i) {
            if (rest_.starts_with(names[i])) {
                rest_.remove_prefix(names[i].size());
                return i;
            }
        }
        good_ = false;
        return 0;
    }

private:
    std::string_view rest_;
    bool good_ = true;
};

struct Moment {
    int year = 0;
    unsigned month = 0;
    unsigned day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
};

void read_time(Cursor& cursor, Moment& moment) noexcept {
    moment.hour = cursor.digits(2);
    cursor.literal(":");
    moment.minute = cursor.digits(2);
    cursor.literal(":");
    moment.second = cursor.digits(2);
}

std::optional<sys_seconds> to_time(const Moment& m) noexcept {
    const std::chrono::year_month_day date{
        std::chrono::year(m.year), std::chrono::month(m.month), std::chrono::day(m.day)};
    // Second 60 is a leap second.
    if (!date.ok() || m.hour > 23 || m.minute > 59 || m.second > 60) { return std::nullopt; }
    return std::chrono::sys_days(date) + std::chrono::hours(m.hour) +
           std::chrono::minutes(m.minute) + std::chrono::seconds(m.second);
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<sys_seconds> read_imf_fixdate(std::string_view text) noexcept {
    Cursor cursor(text);
    Moment m;
    (void)cursor.one_of(short_days);
    cursor.literal(", ");
    m.day = static_cast<unsigned>(cursor.digits(2));
    cursor.literal(" ");
    m.month = static_cast<unsigned>(cursor.one_of(months)) + 1;
    cursor.literal(" ");
    m.year = cursor.digits(4);
    cursor.literal(" ");
    read_time(cursor, m);
    cursor.literal(" GMT");
    if (!cursor.finished()) { return std::nullopt; }
    return to_time(m);
}

// "Sunday, 06-Nov-94 08:49:37 GMT". A two-digit year that seems over 50 years ahead is the last
// such year past.
std::optional<sys_seconds> read_rfc850(std::string_view text, sys_seconds now) noexcept {
    Cursor cursor(text);
    Moment m;
    (void)cursor.one_of(long_days);
    cursor.literal(", ");
    m.day = static_cast<unsigned>(cursor.digits(2));
    cursor.literal("-");
    m.month = static_cast<unsigned>(cursor.one_of(months)) + 1;
    cursor.literal("-");
    const int year_of_century = cursor.digits(2);
    cursor.literal(" ");
    read_time(cursor, m);
    cursor.literal(" GMT");
    if (!cursor.finished()) { return std::nullopt; }
    const std::chrono::year_month_day today(std::chrono::floor<std::chrono::days>(now));
    const int this_year = static_cast<int>(today.year());
    m.year = this_year - this_year % 100 + year_of_century;
    if (m.year > this_year + 50) { m.year -= 100; }
    return to_time(m);
}

// "Sun Nov  6 08:49:37 1994"
std::optional<sys_seconds> read_asctime(std::string_view text) noexcept {
    Cursor cursor(text);
    Moment m;
    (void)cursor.one_of(short_days);
    cursor.literal(" ");
    m.month = static_cast<unsigned>(cursor.one_of(months)) + 1;
    cursor.literal(" ");
    const bool one_digit_day = cursor.next_is(' ');
    if (one_digit_day) { cursor.literal(" "); }
    m.day = static_cast<unsigned>(cursor.digits(one_digit_day ? 1 : 2));
    cursor.literal(" ");
    read_time(cursor, m);
    cursor.literal(" ");
    m.year = cursor.digits(4);
    if (!cursor.finished()) { return std::nullopt; }
    return to_time(m);
}

std::optional<std::chrono::seconds> read_seconds(std::string_view text) noexcept {
    if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) { return std::nullopt; }
    std::int64_t seconds = 0;
    for (const char c : text) { // The cap is applied each round, so any number of digits is safe.
        seconds = std::min<std::int64_t>(seconds * 10 + (c - '0'), retry_after_max.count());
    }
    return std::chrono::seconds(seconds);
}

} // namespace

std::optional<std::chrono::seconds> parse_retry_after(
    std::string_view value, std::chrono::system_clock::time_point now) noexcept {
    constexpr std::string_view blanks = " \t";
    const auto first = value.find_first_not_of(blanks);
    if (first == std::string_view::npos) { return std::nullopt; }
    value = value.substr(first, value.find_last_not_of(blanks) - first + 1);
    if (const auto seconds = read_seconds(value)) { return seconds; }

    const auto now_seconds = std::chrono::floor<std::chrono::seconds>(now);
    auto moment = read_imf_fixdate(value);
    if (!moment) { moment = read_rfc850(value, now_seconds); }
    if (!moment) { moment = read_asctime(value); }
    if (!moment) { return std::nullopt; }
    // floor(now) makes the difference the rounded-up one.
    return std::clamp(*moment - now_seconds, std::chrono::seconds(0), retry_after_max);
}

} // namespace weft::detail
