#include <weft/signals/label.hpp>

#include <cstring>

namespace weft {
namespace {

constexpr std::string_view more = "/{more}";

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
bool is_hex(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
// What stands between the parts of a segment. Braces are among them, so that `{id}` is a word and stays.
bool is_separator(char c) noexcept {
    return !(is_digit(c) || is_lower(c) || is_upper(c) || c == '%' || c == '\0');
}
bool is_escape(std::string_view text) noexcept {
    return text.size() >= 3 && text[0] == '%' && is_hex(text[1]) && is_hex(text[2]);
}

// 'd' stands for a digit, 'h' for a hexadecimal one, others for themselves.
bool matches(std::string_view text, std::string_view form) noexcept {
    if (text.size() != form.size()) { return false; }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (form[i] == 'd' ? !is_digit(c) : form[i] == 'h' ? !is_hex(c) : c != form[i]) {
            return false;
        }
    }
    return true;
}

// 2024-05-01, also with a time behind it.
bool is_date(std::string_view text) noexcept {
    if (!matches(text.substr(0, 10), "dddd-dd-dd")) { return false; }
    for (const char c : text.substr(10)) {
        if (!is_digit(c) && std::string_view("TtZz:.+-_%AaBb").find(c) == std::string_view::npos) {
            return false;
        }
    }
    return true;
}

// What the whole segment is. Empty: look at its parts.
std::string_view kind_of_segment(std::string_view text) noexcept {
    std::size_t escapes = 0;
    bool has_at = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] <= 0x20 || text[i] >= 0x7f) { return "{text}"; }
        if (is_escape(text.substr(i))) { ++escapes; }
        has_at = has_at || text[i] == '@' || matches(text.substr(i, 3), "%40");
    }
    if (has_at) { return "{email}"; }
    if (matches(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")) { return "{uuid}"; }
    if (is_date(text)) { return "{date}"; }
    return escapes >= 3 ? "{text}" : std::string_view();
}

// What a part without separators is. Empty: a word.
std::string_view kind_of_part(std::string_view text) noexcept {
    std::size_t digits = 0;
    std::size_t uppers = 0;
    std::size_t lowers = 0;
    std::size_t changes = 0; // Between digits, small and capital letters.
    bool all_hex = true;
    int before = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        int now = 0;
        if (is_escape(text.substr(i))) {
            i += 2;
            all_hex = false;
        } else {
            now = is_digit(text[i]) ? 1 : is_lower(text[i]) ? 2 : is_upper(text[i]) ? 3 : 0;
            all_hex = all_hex && is_hex(text[i]);
        }
        digits += now == 1 ? 1 : 0;
        lowers += now == 2 ? 1 : 0;
        uppers += now == 3 ? 1 : 0;
        changes += before != 0 && now != before ? 1 : 0;
        before = now;
    }
    const auto size = text.size();
    if (digits == size) { return "{id}"; }
    if (all_hex && ((size >= 8 && digits > 0) || size >= 16)) { return "{hex}"; }
    if (size >= 20 && (digits > 0 || lowers == 0)) { return "{token}"; }
    if (size >= 10 && (digits >= 2 || (digits >= 1 && uppers >= 1 && lowers >= 1))) {
        return "{token}";
    }
    return size >= 12 && changes * 2 >= size - 1 ? "{token}" : std::string_view();
}

// One segment, at most path_segment_bytes_max long.
class Segment {
public:
    explicit Segment(std::string_view text) noexcept {
        if (const auto kind = kind_of_segment(text); !kind.empty()) {
            put(kind);
            return;
        }
        put_parts(text);
        if (is_too_long_) {
            size_ = 0;
            is_too_long_ = false;
            put("{long}");
        }
    }
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

private:
    void put_parts(std::string_view text) noexcept {
        while (!text.empty() && !is_too_long_) { // Bound: each turn takes a part or a separator.
            std::size_t end = 0;
            while (end < text.size() && !is_separator(text[end])) { ++end; }
            if (end == 0) {
                put(text.substr(0, 1));
                text.remove_prefix(1);
                continue;
            }
            put_part(text.substr(0, end));
            text.remove_prefix(end);
        }
    }
    void put_part(std::string_view part) noexcept {
        const auto kind = kind_of_part(part);
        if (kind.empty()) {
            put(part);
            last_ = {};
            return;
        }
        // 3.6.0 is one thing, and so is a row of tokens.
        if (kind == last_) {
            size_ = last_end_;
        } else {
            put(kind);
            last_ = kind;
        }
        last_end_ = size_;
    }
    void put(std::string_view text) noexcept {
        if (text.size() > text_.size() - size_) {
            is_too_long_ = true;
            return;
        }
        std::memcpy(text_.data() + size_, text.data(), text.size());
        size_ += text.size();
    }

    std::array<char, path_segment_bytes_max> text_;
    std::size_t size_ = 0;
    std::string_view last_; // The kind of the part before, if only separators have come since.
    std::size_t last_end_ = 0;
    bool is_too_long_ = false;
};

std::string_view without_authority(std::string_view target) noexcept {
    if (target.starts_with('/')) { return target; }
    const auto scheme = target.find("://");
    if (scheme == std::string_view::npos) { return target; }
    const auto path = target.find_first_of("/?#", scheme + 3);
    return path == std::string_view::npos ? std::string_view() : target.substr(path);
}

// Takes the next segment that is not empty off `path`; empty: there is none.
std::string_view next_segment(std::string_view& path) noexcept {
    for (;;) { // Bound: each turn takes at least a slash.
        const auto first = path.find_first_not_of('/');
        if (first == std::string_view::npos) {
            path = {};
            return {};
        }
        path.remove_prefix(first);
        const auto raw = path.substr(0, path.find('/'));
        path.remove_prefix(raw.size());
        const auto segment = raw.substr(0, raw.find(';'));
        if (!segment.empty()) { return segment; }
    }
}

} // namespace

std::string_view normalize_path(std::string_view target, std::span<char> buffer) noexcept {
    auto path = without_authority(target);
    path = path.substr(0, path.find_first_of("?#"));
    std::size_t size = 0;
    const auto put = [&](std::string_view text) noexcept {
        const auto bytes = std::min(text.size(), buffer.size() - size);
        std::copy_n(text.data(), bytes, buffer.data() + size);
        size += bytes;
    };
    if (buffer.size() < more.size()) { path = {}; }
    auto raw = next_segment(path);
    if (raw.empty()) { put("/"); }
    for (std::size_t count = 0; !raw.empty(); ++count) {
        const Segment segment(raw);
        raw = next_segment(path);
        // Room is kept for what says that there was more.
        const auto wanted = 1 + segment.view().size() + (raw.empty() ? 0 : more.size());
        if (count == path_segments_max || wanted > buffer.size() - size) {
            put(more);
            break;
        }
        put("/");
        put(segment.view());
    }
    return {buffer.data(), size};
}

std::string_view route_label(
    std::string_view route, std::string_view target, std::span<char> buffer) noexcept {
    const bool says_nothing = route.starts_with("/{") &&
                              route.find('/', 1) == std::string_view::npos &&
                              route.ends_with("...}");
    return route.empty() || says_nothing ? normalize_path(target, buffer) : route;
}

} // namespace weft
