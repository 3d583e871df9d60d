#include "export_response.hpp"

#include "ascii.hpp"
#include "export_json.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/utf8.hpp>

#include <protozero/pbf_reader.hpp>

#include <algorithm>

namespace weft::otlp {
namespace {

constexpr std::size_t message_bytes_max = 512;

enum class MediaType : std::uint8_t { absent, protobuf, json, html, text, other };

using weft::detail::lower;

bool starts_with_ignoring_case(std::string_view text, std::string_view lower_prefix) noexcept {
    return text.size() >= lower_prefix.size() &&
           std::equal(
               lower_prefix.begin(), lower_prefix.end(), text.begin(),
               [](char p, char c) noexcept { return p == lower(c); });
}

MediaType media_type(std::string_view content_type) noexcept {
    auto type = content_type.substr(0, content_type.find(';'));
    constexpr std::string_view blanks = " \t";
    while (!type.empty() && blanks.find(type.front()) != std::string_view::npos) {
        type.remove_prefix(1);
    }
    while (!type.empty() && blanks.find(type.back()) != std::string_view::npos) {
        type.remove_suffix(1);
    }
    const auto is = [type](std::string_view wanted) noexcept {
        return type.size() == wanted.size() && starts_with_ignoring_case(type, wanted);
    };
    if (type.empty()) { return MediaType::absent; }
    if (is("application/x-protobuf") || is("application/protobuf")) { return MediaType::protobuf; }
    if (is("application/json")) { return MediaType::json; }
    if (is("text/html")) { return MediaType::html; }
    if (is("text/plain")) { return MediaType::text; }
    return MediaType::other;
}

constexpr auto length_delimited = protozero::pbf_wire_type::length_delimited;

void read_partial_success(protozero::data_view bytes, ExportFields& fields) {
    protozero::pbf_reader reader(bytes);
    while (reader.next()) {
        switch (reader.tag_and_type()) {
        case protozero::tag_and_type(1, protozero::pbf_wire_type::varint):
            fields.rejected = reader.get_int64();
            break;
        case protozero::tag_and_type(2, length_delimited):
            fields.error_message = reader.get_string();
            break;
        default:
            reader.skip();
        }
    }
}

// Protozero throws on malformed input. That stays inside these two functions: a body that cannot be
// read is an answer too.
std::optional<ExportFields> read_export_protobuf(std::string_view body) {
    try {
        ExportFields fields;
        protozero::pbf_reader reader(body.data(), body.size());
        while (reader.next()) {
            if (reader.tag_and_type() == protozero::tag_and_type(1, length_delimited)) {
                read_partial_success(reader.get_view(), fields);
            } else {
                reader.skip();
            }
        }
        return fields;
    } catch (const protozero::exception&) { return std::nullopt; }
}

std::optional<ExportFields> read_status_protobuf(std::string_view body) {
    try {
        ExportFields fields;
        protozero::pbf_reader reader(body.data(), body.size());
        while (reader.next()) {
            if (reader.tag_and_type() == protozero::tag_and_type(2, length_delimited)) {
                fields.status_message = reader.get_string();
            } else {
                reader.skip();
            }
        }
        return fields;
    } catch (const protozero::exception&) { return std::nullopt; }
}

// An HTML error page says what it has to say in its title.
std::string_view html_title(std::string_view page) noexcept {
    constexpr std::string_view open = "<title>";
    for (std::size_t i = 0; i + open.size() <= page.size(); ++i) {
        if (page[i] != '<' || !starts_with_ignoring_case(page.substr(i), open)) { continue; }
        const auto title = page.substr(i + open.size());
        return title.substr(0, title.find('<'));
    }
    return {};
}

// The first line that says something.
std::string_view first_line(std::string_view text) noexcept {
    const auto begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) { return {}; }
    text.remove_prefix(begin);
    return text.substr(0, text.find_first_of("\r\n"));
}

bool looks_like_text(std::string_view body) noexcept {
    while (!body.empty()) { // Bound: each turn takes a character off.
        const char c = body.front();
        const auto point = weft::detail::leading_code_point(body);
        const bool control = static_cast<unsigned char>(c) < 0x20;
        if (!point.is_good || (control && c != '\n' && c != '\r' && c != '\t')) { return false; }
        body.remove_prefix(point.size);
    }
    return true;
}

// Words out of a body that is no OTLP message: the first line of text, binary not at all.
std::string text_of(MediaType type, std::string_view body) {
    if (type == MediaType::html) { return printable(html_title(body), message_bytes_max); }
    // What calls itself text is believed: a stray control character then costs itself alone.
    if (type != MediaType::text && !looks_like_text(body)) { return {}; }
    auto text = printable(first_line(body), message_bytes_max);
    text.erase(std::min(text.find_last_not_of(' ') + 1, text.size()));
    return text;
}

ExportResponse read_acceptance(MediaType type, std::string_view body) {
    std::optional<ExportFields> fields;
    if (body.empty()) {
        fields.emplace();
    } else if (type == MediaType::protobuf || type == MediaType::absent) {
        fields = read_export_protobuf(body);
    } else if (type == MediaType::json) {
        fields = read_export_json(body);
    }
    ExportResponse response;
    response.verdict = ExportVerdict::success;
    response.body_understood = fields.has_value();
    if (!fields) {
        response.message = text_of(type, body);
        return response;
    }
    if (fields->rejected > 0) {
        response.verdict = ExportVerdict::partial;
        response.rejected = static_cast<std::uint64_t>(fields->rejected);
    }
    response.message = printable(fields->error_message, message_bytes_max);
    return response;
}

ExportResponse read_refusal(MediaType type, std::string_view body) {
    std::optional<ExportFields> fields;
    if (body.empty()) {
        fields.emplace();
    } else if (type == MediaType::protobuf) {
        fields = read_status_protobuf(body);
    } else if (type == MediaType::json) {
        fields = read_export_json(body);
    }
    ExportResponse response;
    response.body_understood = fields.has_value();
    response.message =
        fields ? printable(fields->status_message, message_bytes_max) : text_of(type, body);
    return response;
}

constexpr bool is_retryable(int status) noexcept {
    return status == 429 || status == 502 || status == 503 || status == 504;
}

} // namespace

ExportResponse classify(const ExportAnswer& answer) {
    const MediaType type = media_type(answer.content_type);
    if (answer.status >= 200 && answer.status <= 299) { return read_acceptance(type, answer.body); }
    ExportResponse response = read_refusal(type, answer.body);
    if (is_retryable(answer.status)) {
        response.verdict = ExportVerdict::retryable;
        response.retry_after = answer.retry_after;
    }
    return response;
}

} // namespace weft::otlp
