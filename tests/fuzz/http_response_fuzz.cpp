// What a receiver or a user can put before the exporter's parsers: answers to exports, Retry-After,
// header lists, URLs. First byte: which parser. For answers, the second byte picks status and
// content type. Whatever the bytes, the parsers come back, and what they accept keeps its promises.

#include "export_response.hpp"
#include "retry_after.hpp"

#include <weft/exporters/header_list.hpp>
#include <weft/exporters/url.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using namespace std::chrono_literals;

void require(bool promise, const char* what) {
    if (promise) { return; }
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
}

void classify_answer(std::string_view input) {
    using weft::otlp::ExportVerdict;
    constexpr std::array<int, 8> statuses{200, 202, 299, 400, 429, 500, 503, 301};
    constexpr std::array<std::string_view, 6> types{
        "application/x-protobuf", "application/json", "text/html", "text/plain", "", "?"};
    const auto choice = static_cast<unsigned char>(input.front());
    const int status = statuses[choice % statuses.size()];
    const auto type = types[choice / statuses.size() % types.size()];
    const auto response = weft::otlp::classify({status, type, input.substr(1), 5s});

    const bool accepted = status >= 200 && status <= 299;
    const bool success = response.verdict == ExportVerdict::success;
    const bool partial = response.verdict == ExportVerdict::partial;
    require(accepted == (success || partial), "the status decides");
    require(partial == (response.rejected != 0), "rejected goes with partial");
    require(
        response.retry_after.has_value() == (response.verdict == ExportVerdict::retryable),
        "Retry-After goes with retryable");
    require(response.message.size() <= 512, "the message is bounded");
    require(weft::printable(response.message, 512) == response.message, "the message is printable");
}

void read_retry_after(std::string_view input) {
    const auto now = std::chrono::sys_days(std::chrono::year(2026) / 11 / 20) + 1h + 1ms;
    const auto wait = weft::detail::parse_retry_after(input, now);
    require(!wait || (*wait >= 0s && *wait <= 24h), "the wait is bounded");
}

void read_header_list(std::string_view input) {
    const auto list = weft::parse_header_list(input);
    require(list.fields.size() <= 64, "the fields are bounded");
    for (const auto& field : list.fields) {
        require(weft::problem_in(field).empty(), "a field that was accepted may be sent");
        require(
            std::count_if(
                list.fields.begin(), list.fields.end(),
                [&](const auto& other) { return other.name == field.name; }) == 1,
            "names are unique");
    }
    for (const auto& error : list.errors) {
        require(weft::printable(error, 1024) == error, "errors are printable");
    }
}

void read_url(std::string_view input) {
    const auto url = weft::parse_url(input);
    const auto endpoint = weft::otlp_endpoint(input, weft::Signal::logs);
    require(url.has_value() == endpoint.has_value(), "both accept the same");
    if (!url) { return; }
    const auto is_visible = [](char c) { return c > ' ' && c < 0x7f; };
    const auto header = url->host_header();
    require(!url->host.empty() && url->port != 0, "host and port are there");
    require(url->target.starts_with('/'), "the target is a path");
    require(std::all_of(header.begin(), header.end(), is_visible), "Host forges no header");
    require(
        std::all_of(endpoint->target.begin(), endpoint->target.end(), is_visible),
        "the target forges no header");
    const auto again = weft::parse_url(url->text_for_messages());
    require(again && again->host == url->host && again->port == url->port, "it reads itself back");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) { return 0; }
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        classify_answer(input);
        break;
    case 1:
        read_retry_after(input);
        break;
    case 2:
        read_header_list(input);
        break;
    default:
        read_url(input);
    }
    return 0;
}
