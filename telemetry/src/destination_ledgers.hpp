#pragma once
#include "pipeline.hpp"

#include <weft/exporters/ledger.hpp>
#include <weft/runtime/signal.hpp>

#include <string>
#include <string_view>

namespace weft::detail {

/// Of the destination of this name; all zero where the signal does not go there.
[[nodiscard]] Ledger ledger_of(
    const Pipelines& pipelines, Signal signal, std::string_view destination);

/// `"a": {"spans": {...}, "metrics": {...}}, ...`: of all destinations but each signal's first.
[[nodiscard]] std::string other_ledgers_json(const Pipelines& pipelines, const Options& options);

} // namespace weft::detail
