#include "export_json.hpp"

#include <charconv>

namespace weft::otlp {
namespace {

// Walks over JSON text once, without recursion: nesting that is of no interest is skipped by
// counting brackets.
class JsonCursor {
public:
    explicit JsonCursor(std::string_view text) noexcept : rest_(text) {}

    [[nodiscard]] bool at_end() noexcept {
        skip_blanks();
        return rest_.empty();
    }

    [[nodiscard]] bool take(char wanted) noexcept {
        skip_blanks();
        if (!rest_.starts_with(wanted)) { return false; }
        rest_.remove_prefix(1);
        return true;
    }

    [[nodiscard]] bool next_is(char wanted) noexcept {
        skip_blanks();
        return rest_.starts_with(wanted);
    }

    // A string with its escapes resolved. Lone surrogates become '?'.
    [[nodiscard]] std::optional<std::string> string() {
        if (!take('"')) { return std::nullopt; }
        std::string out;
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"') { return out; }
            if (c != '\\') {
                out.push_back(c);
            } else if (!escape(out)) {
                return std::nullopt;
            }
        }
        return std::nullopt;
    }

    // A 64-bit integer, as a number or, as protobuf JSON writes it, a string.
    [[nodiscard]] std::optional<std::int64_t> integer() {
        std::string text;
        if (next_is('"')) {
            auto quoted = string();
            if (!quoted) { return std::nullopt; }
            text = std::move(*quoted);
        } else {
            text = literal();
        }
        std::int64_t value = 0;
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (ec != std::errc() || end != text.data() + text.size()) {
            return 0;
        } // null, 1e3, words: as if absent.
        return value;
    }

    // Any value. False if the text ends inside it.
    [[nodiscard]] bool skip_value() {
        std::size_t depth = 0;
        do { // Each round consumes at least one character or fails.
            skip_blanks();
            if (rest_.empty()) { return false; }
            const char c = rest_.front();
            if (c == '"') {
                if (!string()) { return false; }
            } else if (c == '{' || c == '[') {
                rest_.remove_prefix(1);
                ++depth;
            } else if (c == '}' || c == ']') {
                if (depth == 0) { return false; }
                rest_.remove_prefix(1);
                --depth;
            } else if (c == ',' || c == ':') {
                if (depth == 0) { return false; }
                rest_.remove_prefix(1);
            } else if (literal().empty()) {
                return false;
            }
        } while (depth != 0);
        return true;
    }

private:
    void skip_blanks() noexcept {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
    }

    // A number, true, false or null: whatever stands before the next delimiter.
    [[nodiscard]] std::string literal() {
        skip_blanks();
        const auto size = std::min(rest_.find_first_of(" \t\r\n,:]}[{\""), rest_.size());
        std::string text(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return text;
    }

    [[nodiscard]] bool escape(std::string& out) {
        if (rest_.empty()) { return false; }
        const char c = rest_.front();
        rest_.remove_prefix(1);
        switch (c) {
        case 'n':
            out.push_back('\n');
            return true;
        case 't':
            out.push_back('\t');
            return true;
        case 'r':
            out.push_back('\r');
            return true;
        case 'b':
            out.push_back('\b');
            return true;
        case 'f':
            out.push_back('\f');
            return true;
        case 'u':
            return unicode_escape(out);
        default:
            out.push_back(c);
            return true; // '"', '\\', '/', and leniently anything else.
        }
    }

    [[nodiscard]] bool unicode_escape(std::string& out) {
        const auto first = hex4();
        if (!first) { return false; }
        std::uint32_t point = *first;
        if (point >= 0xd800 && point <= 0xdbff && rest_.starts_with("\\u")) {
            rest_.remove_prefix(2);
            const auto second = hex4();
            if (!second) { return false; }
            const bool pair = *second >= 0xdc00 && *second <= 0xdfff;
            point = pair ? 0x10000 + ((point - 0xd800) << 10) + (*second - 0xdc00) : '?';
        }
        if (point >= 0xd800 && point <= 0xdfff) { point = '?'; }
        append_utf8(point, out);
        return true;
    }

    [[nodiscard]] std::optional<std::uint32_t> hex4() noexcept {
        if (rest_.size() < 4) { return std::nullopt; }
        std::uint32_t value = 0;
        const auto [end, ec] = std::from_chars(rest_.data(), rest_.data() + 4, value, 16);
        if (ec != std::errc() || end != rest_.data() + 4) { return std::nullopt; }
        rest_.remove_prefix(4);
        return value;
    }

    static void append_utf8(std::uint32_t point, std::string& out) {
        const auto tail = [&out, point](unsigned shift) {
            out.push_back(static_cast<char>(0x80 | ((point >> shift) & 0x3f)));
        };
        if (point < 0x80) {
            out.push_back(static_cast<char>(point));
        } else if (point < 0x800) {
            out.push_back(static_cast<char>(0xc0 | (point >> 6)));
            tail(0);
        } else if (point < 0x10000) {
            out.push_back(static_cast<char>(0xe0 | (point >> 12)));
            tail(6);
            tail(0);
        } else {
            out.push_back(static_cast<char>(0xf0 | (point >> 18)));
            tail(12);
            tail(6);
            tail(0);
        }
    }

    std::string_view rest_;
};

// Calls `member(cursor, key)` for each member; it must consume the value and answer whether that
// went well.
template <class Member>
bool read_object(JsonCursor& cursor, Member member) {
    if (!cursor.take('{')) { return false; }
    if (cursor.take('}')) { return true; }
    do { // Each round consumes a member.
        const auto key = cursor.string();
        if (!key || !cursor.take(':') || !member(cursor, *key)) { return false; }
    } while (cursor.take(','));
    return cursor.take('}');
}

bool read_text(JsonCursor& cursor, std::string& out) {
    if (!cursor.next_is('"')) {
        return cursor.skip_value();
    } // null, or a type that is not ours to judge.
    auto text = cursor.string();
    if (!text) { return false; }
    out = std::move(*text);
    return true;
}

bool read_partial_success(JsonCursor& cursor, ExportFields& fields) {
    if (!cursor.next_is('{')) { return cursor.skip_value(); }
    return read_object(cursor, [&fields](JsonCursor& at, const std::string& key) {
        if (key == "errorMessage") { return read_text(at, fields.error_message); }
        if (key != "rejectedSpans" && key != "rejectedDataPoints" && key != "rejectedLogRecords") {
            return at.skip_value();
        }
        if (at.next_is('{') || at.next_is('[')) { return at.skip_value(); }
        const auto count = at.integer();
        if (count) { fields.rejected = *count; }
        return count.has_value();
    });
}

} // namespace

std::optional<ExportFields> read_export_json(std::string_view text) {
    JsonCursor cursor(text);
    ExportFields fields;
    const bool good = read_object(cursor, [&fields](JsonCursor& at, const std::string& key) {
        if (key == "partialSuccess") { return read_partial_success(at, fields); }
        if (key == "message") { return read_text(at, fields.status_message); }
        return at.skip_value();
    });
    if (!good || !cursor.at_end()) { return std::nullopt; }
    return fields;
}

} // namespace weft::otlp
