#include <weft/exporters/ledger.hpp>

#include <fmt/format.h>

namespace weft {

std::string Ledger::to_json() const {
    std::string reasons;
    for (std::size_t i = 0; i < dropped.size(); ++i) {
        if (dropped[i] == 0) { continue; }
        if (!reasons.empty()) { reasons += ", "; }
        reasons += fmt::format("\"{}\": {}", name(static_cast<DropReason>(i)), dropped[i]);
    }
    return fmt::format(
        "{{\"created\": {}, \"exported\": {}, \"rejected\": {}, \"dropped\": {{{}}}, \"queued\": "
        "{}, "
        "\"in_flight\": {}, \"spooled\": {}}}",
        created, exported, rejected, reasons, queued, in_flight, spooled);
}

FlushReport report_since(const Ledger& before, const Ledger& after, bool complete) noexcept {
    return {
        .complete = complete,
        .exported = after.exported - before.exported,
        .rejected = after.rejected - before.rejected,
        .dropped = after.dropped_total() - before.dropped_total(),
        .pending = after.queued + after.in_flight,
        .spooled = after.spooled};
}

} // namespace weft
