#include "destination_options.hpp"

#include "signal_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace weft::detail {
namespace {

constexpr std::size_t destinations_max = 16;
constexpr std::size_t name_bytes_max = 64;

bool is_name(std::string_view name) {
    const auto is_good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= name_bytes_max &&
           std::all_of(name.begin(), name.end(), is_good);
}

std::string problem_in_otlp(
    const DestinationOptions& destination, const OtlpOptions& otlp, std::string_view field) {
    if (otlp.spool) {
        return fmt::format(
            "{}.to.spool is set: allowed is {}.spool, which counts for every destination", field,
            field);
    }
    for (const auto signal : all_signals) {
        if (!takes(destination, signal)) { continue; }
        auto problem = signal_sink(otlp, signal, fmt::format("{}.to", field)).problem;
        if (!problem.empty()) { return problem; }
    }
    return {};
}

std::string problem_in_file(
    const DestinationOptions& destination, const OtlpFileOptions& file, std::string_view field) {
    if (auto problem = problem_in(file); !problem.empty()) {
        return fmt::format("{}.to: {}", field, problem);
    }
    const auto signals = std::count_if(all_signals.begin(), all_signals.end(), [&](Signal signal) {
        return takes(destination, signal);
    });
    if (signals > 1 && file.path.find("{signal}") == std::string::npos) {
        return fmt::format(
            "{}.to.path is \"{}\" for {} signals: a file holds one of them, allowed is a path with "
            "{{signal}} in it, or one signal in {}.signals",
            field, printable(file.path, 200), signals, field);
    }
    return {};
}

std::string problem_in_target(const DestinationOptions& destination, std::string_view field) {
    if (const auto* otlp = std::get_if<OtlpOptions>(&destination.to)) {
        return problem_in_otlp(destination, *otlp, field);
    }
    if (const auto* file = std::get_if<OtlpFileOptions>(&destination.to)) {
        return problem_in_file(destination, *file, field);
    }
    if (const auto* sink = std::get_if<std::shared_ptr<Sink>>(&destination.to)) {
        if (*sink == nullptr) {
            return fmt::format("{}.to is a null Sink: a sink is wanted, or leave it out", field);
        }
        if ((*sink)->connections() == 0) {
            return fmt::format("{}.to says connections() is 0: allowed is 1 or more", field);
        }
    }
    return {};
}

std::string problem_in_one(const DestinationOptions& destination, std::string_view field) {
    if (!is_name(destination.name) || destination.name == "otlp" || destination.name == "sink") {
        return fmt::format(
            "{}.name is \"{}\": allowed is 1 to {} letters, digits, '_' and '-', and neither otlp "
            "nor sink",
            field, printable(destination.name, 200), name_bytes_max);
    }
    constexpr std::size_t low = 1024;
    constexpr std::size_t high = std::size_t{1} << 30;
    if (destination.waiting_bytes_max < low || destination.waiting_bytes_max > high) {
        return fmt::format(
            "{}.waiting_bytes_max is {} bytes: allowed is {} to {} bytes", field,
            destination.waiting_bytes_max, low, high);
    }
    if (destination.spool) {
        if (auto problem = problem_in(*destination.spool); !problem.empty()) {
            return fmt::format("{}.spool: {}", field, problem);
        }
    }
    return problem_in_target(destination, field);
}

} // namespace

std::string problem_in_destinations(const Options& options) {
    const auto& all = options.destinations;
    if (all.size() > destinations_max) {
        return fmt::format(
            "Options::destinations has {}: allowed is up to {}", all.size(), destinations_max);
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto field = fmt::format("Options::destinations[{}]", i);
        if (auto problem = problem_in_one(all[i], field); !problem.empty()) { return problem; }
        const auto same = std::find_if(
            all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i),
            [&](const DestinationOptions& other) { return other.name == all[i].name; });
        if (same != all.begin() + static_cast<std::ptrdiff_t>(i)) {
            return fmt::format(
                "{}.name is \"{}\", as another's: allowed is a name of its own", field,
                all[i].name);
        }
    }
    return {};
}

} // namespace weft::detail
