#pragma once
#include <weft/signals/instrument.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace weft::detail {

inline constexpr std::size_t instruments_max = 16384;

/// A registered instrument: what identifies it, and where it was made first. Never freed.
struct InstrumentDescriptor {
    std::uint32_t index = 0;
    std::uint16_t scope = 0;
    std::string meter_name;
    std::string meter_version;
    std::string meter_schema_url;
    InstrumentKind kind = InstrumentKind::counter;
    bool is_integer = true;
    std::string name;
    std::string unit;
    std::string description;
    std::vector<double> boundaries;
    std::vector<std::string> attribute_keys;
    const char* file = "";
    std::uint32_t line = 0;
};

/// The process's table. Threads: any. Cost: a mutex and a search; callers keep the index.
/// Returns 0, with an error in the library's own log, for a name or unit that OpenTelemetry does not allow. A second
/// definition that differs from the first is an instrument of its own, with a warning.
/// Source: OpenTelemetry Metrics SDK, "Duplicate instrument registration".
[[nodiscard]] std::uint32_t register_instrument(const InstrumentBase& instrument) noexcept;

/// `index`: of a registered instrument.
[[nodiscard]] const InstrumentDescriptor& instrument_descriptor(std::uint32_t index) noexcept;

} // namespace weft::detail
