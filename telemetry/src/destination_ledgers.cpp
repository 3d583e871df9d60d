#include "destination_ledgers.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace weft::detail {
namespace {

const Drain* drain_of(const Pipelines& pipelines, Signal signal) noexcept {
    const auto& pipeline = pipelines[static_cast<std::size_t>(signal)];
    return pipeline ? pipeline->drain() : nullptr;
}

} // namespace

Ledger ledger_of(const Pipelines& pipelines, Signal signal, std::string_view destination) {
    const Drain* const drain = drain_of(pipelines, signal);
    for (std::size_t i = 0; drain != nullptr && i < drain->destinations(); ++i) {
        if (drain->destination_name(i) == destination) { return drain->ledger(i); }
    }
    return {};
}

std::string other_ledgers_json(const Pipelines& pipelines, const Options& options) {
    constexpr std::array<std::string_view, all_signals.size()> keys{"spans", "metrics", "logs"};
    std::string json;
    for (const auto& destination : options.destinations) {
        std::string of_signals;
        for (const auto signal : all_signals) {
            const Drain* const drain = drain_of(pipelines, signal);
            if (drain == nullptr || drain->destination_name(0) == destination.name) { continue; }
            for (std::size_t i = 1; i < drain->destinations(); ++i) {
                if (drain->destination_name(i) != destination.name) { continue; }
                of_signals += fmt::format(
                    "{}\"{}\": {}", of_signals.empty() ? "" : ", ",
                    keys[static_cast<std::size_t>(signal)], drain->ledger(i).to_json());
            }
        }
        if (of_signals.empty()) { continue; }
        json +=
            fmt::format("{}\"{}\": {{{}}}", json.empty() ? "" : ", ", destination.name, of_signals);
    }
    return json;
}

} // namespace weft::detail
