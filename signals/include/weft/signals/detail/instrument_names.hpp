#pragma once
// For instruments whose names are made while the program runs.

#include <weft/signals/instrument.hpp>

#include <source_location>
#include <string>
#include <string_view>

namespace weft::detail {

/// Why OpenTelemetry does not allow it ("it begins with '1': ..."); empty if it does. Errors: std::bad_alloc.
/// Source: OpenTelemetry Metrics API, "Instrument name syntax" and "Instrument unit".
[[nodiscard]] std::string problem_in_instrument_name(std::string_view name);
[[nodiscard]] std::string problem_in_instrument_unit(std::string_view unit);

/// What an instrument is made of, all texts in the process's table of instruments.
struct KeptInstrument {
    Meter meter;
    std::string_view name;
    InstrumentOptions options; ///< Without attribute_keys: the table has them.
    std::source_location where;
};

/// Registers `instrument` and says it again in texts that live for ever. One that is refused, with an error in the
/// library's own log, becomes one that records nothing.
[[nodiscard]] KeptInstrument keep_instrument(const InstrumentBase& instrument) noexcept;

} // namespace weft::detail
