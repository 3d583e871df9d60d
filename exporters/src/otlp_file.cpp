#include "file_output.hpp"
#include "otlp_json.hpp"

#include <weft/exporters/otlp_file.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace weft {
namespace {

using Milliseconds = std::chrono::milliseconds;

std::string range_problem(
    std::string_view field, Milliseconds value, Milliseconds low, Milliseconds high, bool or_zero) {
    if ((value >= low && value <= high) || (or_zero && value.count() == 0)) { return {}; }
    return fmt::format(
        "OtlpFileOptions::{} is {} ms: allowed is {}{} to {} ms", field, value.count(),
        or_zero ? "0, or " : "", low.count(), high.count());
}

std::string path_of(std::string path, Signal signal) {
    constexpr std::string_view place = "{signal}";
    const auto word = name(signal);
    for (auto at = path.find(place); at != std::string::npos; at = path.find(place, at)) {
        path.replace(at, place.size(), word); // Bound: each turn removes one place.
    }
    return path;
}

std::string line_of(const Batch& batch) {
    std::string line = detail::otlp_json(batch);
    if (!line.empty()) { line += '\n'; }
    return line;
}

} // namespace

std::string problem_in(const OtlpFileOptions& options) {
    if (options.path.empty() || options.path.find('\0') != std::string::npos) {
        return "OtlpFileOptions::path is empty or holds a zero byte: allowed is the path of a file";
    }
    if (options.path.back() == '/') {
        return fmt::format(
            "OtlpFileOptions::path is \"{}\": allowed is the path of a file, not of a folder",
            printable(options.path, 200));
    }
    constexpr std::size_t bytes_low = 4096;
    constexpr std::size_t bytes_high = std::size_t{1} << 40;
    if (options.bytes_max != 0 &&
        (options.bytes_max < bytes_low || options.bytes_max > bytes_high)) {
        return fmt::format(
            "OtlpFileOptions::bytes_max is {}: allowed is 0, or {} to {}", options.bytes_max,
            bytes_low, bytes_high);
    }
    if (options.files_max > 1000) {
        return fmt::format(
            "OtlpFileOptions::files_max is {}: allowed is 0 to 1000", options.files_max);
    }
    using namespace std::chrono_literals;
    for (auto problem :
         {range_problem("age_max", options.age_max, 1s, 24h * 366, true),
          range_problem("retry_interval", options.retry_interval, 10ms, 1h, false),
          range_problem("retry_for", options.retry_for, 0ms, 24h * 7, false)}) {
        if (!problem.empty()) { return problem; }
    }
    return {};
}

Result<std::shared_ptr<Sink>> make_otlp_file_sink(
    asio::any_io_executor executor, OtlpFileOptions options, Signal signal, Diagnostics& log) {
    if (const auto problem = problem_in(options); !problem.empty()) {
        log.report(DiagnosticLevel::error, "otlp_file.options", problem);
        return make_error_code(Errc::option_out_of_range);
    }
    options.path = path_of(std::move(options.path), signal);
    const auto name = fmt::format("file {}", printable(options.path, 200));
    const auto retry_interval = options.retry_interval;
    const auto retry_for = options.retry_for;
    return std::shared_ptr<Sink>(std::make_shared<detail::TextSink>(detail::TextSink::Setup{
        .executor = std::move(executor),
        .output = std::make_unique<detail::FileOutput>(std::move(options)),
        .encode = &line_of,
        .name = name,
        .retry_interval = retry_interval,
        .retry_for = retry_for,
        .log = log}));
}

} // namespace weft
