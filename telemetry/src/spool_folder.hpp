#pragma once
#include <weft/exporters/spool.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/signal.hpp>

#include <memory>
#include <string_view>

namespace weft::detail {

/// The spool of a destination and signal, `options.directory`/<destination>/<signal>/<n>, where n is the lowest number, up to
/// 63, that no other process has: so that processes that share a root each have their own, and one that starts again
/// resumes what it, or another before it, left. Null, and reported: it cannot be had.
[[nodiscard]] std::shared_ptr<Spool> open_spool(
    SpoolOptions options, std::string_view destination, Signal signal, Diagnostics& log);

} // namespace weft::detail
