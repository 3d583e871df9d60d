#include "prometheus_fields.hpp"

#include "ascii.hpp"

#include <weft/exporters/header_list.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace weft::detail {
namespace {

constexpr std::string_view blanks = " \t";

std::string_view trim(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) { return {}; }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Everything up to a separator outside of quotes, which is taken off too.
std::string_view cut(std::string_view& rest, char separator) noexcept {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < rest.size(); ++end) {
        const char c = rest[end];
        if (quoted && c == '\\') {
            ++end; // The next one means itself.
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == separator && !quoted) {
            break;
        }
    }
    end = std::min(end, rest.size());
    const auto piece = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return piece;
}

// Of a query: '+' is a blank.
std::optional<std::string> decode(std::string_view text) {
    std::string with_blanks(text);
    std::replace(with_blanks.begin(), with_blanks.end(), '+', ' ');
    return percent_decode(with_blanks);
}

} // namespace

std::string_view FieldItem::parameter(std::string_view name_wanted) const noexcept {
    for (auto rest = parameters; !rest.empty();) {
        auto piece = cut(rest, ';');
        const auto equals = piece.find('=');
        if (equals == std::string_view::npos) { continue; }
        if (!same_name(trim(piece.substr(0, equals)), name_wanted)) { continue; }
        auto value = trim(piece.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
            value = value.substr(1, value.size() - 2);
        }
        return value;
    }
    return {};
}

int FieldItem::quality() const noexcept {
    const auto text = parameter("q");
    if (text.empty()) { return 1000; }
    // Not std::from_chars: its grammar is wider than a weight's.
    const bool whole = text[0] == '1';
    if ((text[0] != '0' && !whole) || (text.size() > 1 && text[1] != '.') || text.size() > 5) {
        return 0;
    }
    int value = whole ? 1000 : 0;
    int weight = 100;
    for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
        if (c < '0' || c > '9') { return 0; }
        value += (c - '0') * weight;
        weight /= 10;
    }
    return value <= 1000 ? value : 0;
}

FieldItem next_item(std::string_view& rest) noexcept {
    auto item = cut(rest, ',');
    const auto name = trim(cut(item, ';'));
    return {name, item};
}

std::string_view path_of(std::string_view target) noexcept {
    if (!target.starts_with('/')) {
        const auto authority = target.find("://");
        if (authority != std::string_view::npos) {
            const auto path = target.find('/', authority + 3);
            target = path == std::string_view::npos ? std::string_view("/") : target.substr(path);
        }
    }
    return target.substr(0, target.find('?'));
}

std::optional<std::vector<std::string>> names_in_query(
    std::string_view target, std::size_t names_max) {
    std::vector<std::string> names;
    const auto query = target.find('?');
    if (query == std::string_view::npos) { return names; }
    for (auto rest = target.substr(query + 1); !rest.empty();) {
        const auto pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
        const auto equals = std::min(pair.find('='), pair.size());
        const auto key = decode(pair.substr(0, equals));
        if (!key) { return std::nullopt; }
        if (*key != "name[]") { continue; }
        auto value = decode(pair.substr(std::min(equals + 1, pair.size())));
        if (!value || names.size() == names_max) { return std::nullopt; }
        names.push_back(std::move(*value));
    }
    return names;
}

std::optional<std::chrono::milliseconds> scrape_timeout(std::string_view text) noexcept {
    text = trim(text);
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || !(seconds > 0)) {
        return std::nullopt;
    }
    const double bounded = std::min(seconds, 3600.0); // Also of infinity.
    return std::chrono::milliseconds(
        std::max<std::int64_t>(1, static_cast<std::int64_t>(bounded * 1000)));
}

} // namespace weft::detail
