#include "prometheus_names.hpp"

#include "prometheus_number.hpp"

#include <weft/runtime/utf8.hpp>

#include <algorithm>
#include <array>

namespace weft::detail {
namespace {

struct UnitWord {
    std::string_view unit;
    std::string_view word;
    std::string_view singular; // Behind "per".
};
constexpr std::array unit_words{
    UnitWord{"d", "days", "day"},
    UnitWord{"h", "hours", "hour"},
    UnitWord{"min", "minutes", "minute"},
    UnitWord{"s", "seconds", "second"},
    UnitWord{"ms", "milliseconds", "millisecond"},
    UnitWord{"us", "microseconds", "microsecond"},
    UnitWord{"ns", "nanoseconds", "nanosecond"},
    UnitWord{"By", "bytes", "byte"},
    UnitWord{"KiBy", "kibibytes", "kibibyte"},
    UnitWord{"MiBy", "mebibytes", "mebibyte"},
    UnitWord{"GiBy", "gibibytes", "gibibyte"},
    UnitWord{"TiBy", "tebibytes", "tebibyte"},
    UnitWord{"kBy", "kilobytes", "kilobyte"},
    UnitWord{"MBy", "megabytes", "megabyte"},
    UnitWord{"GBy", "gigabytes", "gigabyte"},
    UnitWord{"TBy", "terabytes", "terabyte"},
    UnitWord{"m", "meters", "meter"},
    UnitWord{"V", "volts", "volt"},
    UnitWord{"A", "amperes", "ampere"},
    UnitWord{"J", "joules", "joule"},
    UnitWord{"W", "watts", "watt"},
    UnitWord{"g", "grams", "gram"},
    UnitWord{"Cel", "celsius", "celsius"},
    UnitWord{"Hz", "hertz", "hertz"},
    UnitWord{"%", "percent", "percent"},
    UnitWord{"1", "", ""},
};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Runs of what is replaced, and of '_', become one '_'.
std::string translated(std::string_view text, bool colon) {
    std::string out;
    out.reserve(text.size() + 1);
    if (!text.empty() && is_digit(text.front())) { out.push_back('_'); }
    for (const char c : text) {
        if (is_letter(c) || is_digit(c) || (colon && c == ':')) {
            out.push_back(c);
        } else if (!out.ends_with('_')) {
            out.push_back('_');
        }
    }
    return out;
}

std::string repaired(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) { // Bound: each turn takes a character off.
        const auto point = leading_code_point(text);
        if (point.is_good) {
            out += text.substr(0, point.size);
        } else {
            out += "\xEF\xBF\xBD";
        }
        text.remove_prefix(point.size);
    }
    return out;
}

// The value of a code point that is good.
std::uint32_t code_point(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
    };
    switch (text.size()) {
    case 1:
        return byte(0);
    case 2:
        return (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
    case 3:
        return (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    default:
        return (byte(0) & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 |
               (byte(3) & 0x3f);
    }
}

// What `escaping` puts in place of a character that a classic name may not have here.
void append_replacement(std::string& out, std::string_view character, PrometheusEscaping escaping) {
    if (escaping == PrometheusEscaping::values) {
        std::array<char, 8> hex;
        const auto end = std::to_chars(hex.data(), hex.data() + 8, code_point(character), 16).ptr;
        out.push_back('_');
        std::transform(hex.data(), end, std::back_inserter(out), [](char c) {
            return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
        });
        out.push_back('_');
    } else if (escaping == PrometheusEscaping::dots && character == ".") {
        out += "_dot_";
    } else {
        out.push_back('_');
    }
}

// Source: Prometheus, "UTF-8 metric and label name escaping schemes". A name of classic characters is its own value
// encoding; under `dots` its underscores are doubled all the same.
std::string escaped(std::string name, bool colon, PrometheusEscaping escaping) {
    if (escaping == PrometheusEscaping::allow_utf_8) { return name; }
    if (escaping != PrometheusEscaping::dots && is_classic_name(name, colon)) { return name; }
    std::string out(escaping == PrometheusEscaping::values ? "U__" : "");
    for (std::string_view rest = name; !rest.empty();) {
        const auto character = rest.substr(0, leading_code_point(rest).size);
        const char c = character.front();
        const bool doubled = c == '_' && escaping != PrometheusEscaping::underscores;
        if (doubled) {
            out += "__";
        } else if (
            is_letter(c) || c == '_' || (colon && c == ':') || (is_digit(c) && !out.empty())) {
            out.push_back(c);
        } else {
            append_replacement(out, character, escaping);
        }
        rest.remove_prefix(character.size());
    }
    return out;
}

std::string word_of(std::string_view unit, bool singular) {
    const auto* const known =
        std::find_if(unit_words.begin(), unit_words.end(), [&](const auto& entry) {
            return entry.unit == unit;
        });
    if (known != unit_words.end()) { return std::string(singular ? known->singular : known->word); }
    std::string word = translated(unit, false);
    const auto first = std::min(word.find_first_not_of('_'), word.size());
    word.erase(0, first);
    while (word.ends_with('_')) { word.pop_back(); }
    return word;
}

bool ends_with_word(std::string_view name, std::string_view word) noexcept {
    if (!name.ends_with(word)) { return false; }
    return name.size() == word.size() || name[name.size() - word.size() - 1] == '_';
}

void append_word(std::string& name, std::string_view word) {
    if (word.empty() || ends_with_word(name, word)) { return; }
    if (!name.ends_with('_')) { name.push_back('_'); }
    name += word;
}

// A name that begins with "__" is Prometheus's own: `__name__` would rename the metric.
std::string without_reserved_prefix(std::string name) {
    const auto first = name.find_first_not_of('_');
    const auto run = first == std::string::npos ? name.size() : first;
    if (run > 1) { name.erase(0, run - 1); }
    return name;
}

} // namespace

bool is_classic_name(std::string_view name, bool colon) noexcept {
    if (name.empty() || is_digit(name.front())) { return false; }
    return std::all_of(name.begin(), name.end(), [colon](char c) {
        return is_letter(c) || is_digit(c) || c == '_' || (colon && c == ':');
    });
}

std::string unit_word(std::string_view unit) {
    std::string plain; // Without annotations.
    bool inside = false;
    for (const char c : unit) {
        if (c == '{') {
            inside = true;
        } else if (c == '}') {
            inside = false;
        } else if (!inside) {
            plain.push_back(c);
        }
    }
    const auto slash = plain.find('/');
    std::string word = word_of(std::string_view(plain).substr(0, slash), false);
    if (slash == std::string::npos) { return word; }
    const std::string per = word_of(std::string_view(plain).substr(slash + 1), true);
    if (per.empty()) { return word; }
    return word.empty() ? "per_" + per : word + "_per_" + per;
}

FamilyName family_name(
    std::string_view name, std::string_view unit, MetricKind kind, FamilyType type,
    const PrometheusNaming& naming) {
    constexpr std::string_view total = "_total";
    const auto escaping = naming.protocol.escaping;
    std::string full = naming.translates() ? translated(name, true) : repaired(name);
    if (full.empty()) { full = "_"; }

    const bool counter = type == FamilyType::counter;
    const bool had_total = counter && full.size() > total.size() && full.ends_with(total);
    std::string base = had_total ? full.substr(0, full.size() - total.size()) : full;
    std::string word = unit_word(unit);
    if (naming.has_suffixes()) {
        if (kind == MetricKind::gauge && unit == "1") { word = "ratio"; }
        append_word(base, word);
    }
    FamilyName result;
    if (word.size() < base.size() && ends_with_word(base, word)) { result.unit = word; }
    result.base = escaped(std::move(base), true, escaping);
    const bool says_total =
        naming.has_suffixes() || had_total || is_open_metrics(naming.protocol.format);
    result.sample = result.base;
    if (counter && says_total) { result.sample += total; }
    if (!ends_with_word(result.base, result.unit) || result.unit.empty()) { result.unit.clear(); }
    return result;
}

std::string label_name(std::string_view key, const PrometheusNaming& naming) {
    std::string name = naming.translates() ? translated(key, false) : repaired(key);
    if (name.empty()) { name = "_"; }
    // Behind the escaping, which may have made such a prefix.
    return without_reserved_prefix(escaped(std::move(name), false, naming.protocol.escaping));
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
    while (!text.empty()) { // Bound: each turn takes something off.
        const auto plain = std::find_if(text.begin(), text.end(), [](char c) {
            return c == '\\' || c == '\n' || c == '"' || static_cast<unsigned char>(c) >= 0x80;
        });
        const auto size = static_cast<std::size_t>(plain - text.begin());
        out += text.substr(0, size);
        text.remove_prefix(size);
        if (text.empty()) { break; }
        const auto point = leading_code_point(text);
        switch (text.front()) {
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '"':
            out += quotes ? "\\\"" : "\"";
            break;
        default:
            out += point.is_good ? text.substr(0, point.size) : std::string_view("\xEF\xBF\xBD");
        }
        text.remove_prefix(point.size);
    }
}

void append_name(std::string& out, std::string_view name, bool colon) {
    if (is_classic_name(name, colon)) {
        out += name;
        return;
    }
    out.push_back('"');
    append_escaped(out, name, true);
    out.push_back('"');
}

void Labels::append_to(std::string& out) const {
    for (const auto& label : labels) {
        out.push_back(',');
        append_name(out, label.name, false);
        out += "=\"";
        append_escaped(out, label.value, true);
        out.push_back('"');
    }
}

} // namespace weft::detail
