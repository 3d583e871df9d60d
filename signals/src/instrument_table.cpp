#include "instrument_table.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/fork.hpp>
#include <weft/signals/detail/instrument_names.hpp>
#include <weft/signals/scope.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <mutex>

namespace weft::detail {
namespace {

constexpr std::size_t boundaries_max = 512;

struct Table {
    std::mutex mutex; // Guards entries; they are immutable once in, and a deque does not move them.
    std::deque<InstrumentDescriptor> entries{1}; // By index; 0 is no instrument.
};

// Never destroyed: instruments are used until the very end.
Table& table() {
    static Table& instance = *new Table;
    return instance;
}
const ForkGuard table_at_fork(ForkOrder::leaf, table().mutex);

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_in_any_case(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return lower(x) == lower(y);
    });
}

std::string_view kind_name(InstrumentKind kind) noexcept {
    constexpr std::array<std::string_view, 7> names{
        "Counter",           "UpDownCounter",           "Histogram",      "Gauge",
        "ObservableCounter", "ObservableUpDownCounter", "ObservableGauge"};
    return names[static_cast<std::size_t>(kind)];
}

// A hint may be wrong without harm: it is left out.
std::vector<double> good_boundaries(const InstrumentBase& instrument) {
    const auto given = instrument.options().boundaries;
    bool good = given.size() <= boundaries_max;
    for (std::size_t i = 0; i < given.size(); ++i) {
        good = good && std::isfinite(given[i]) && (i == 0 || given[i - 1] < given[i]);
    }
    if (good) { return {given.begin(), given.end()}; }
    diagnostics().report(
        DiagnosticLevel::error, fmt::format("metrics.boundaries.{}", instrument.name()),
        fmt::format(
            "histogram \"{}\" ({}:{}): its boundaries are left out: allowed are up to {} finite "
            "numbers, each larger than the one before",
            printable(instrument.name(), 255), instrument.where().file_name(),
            instrument.where().line(), boundaries_max));
    return {};
}

InstrumentDescriptor describe(const InstrumentBase& instrument, std::uint16_t scope) {
    InstrumentDescriptor made;
    made.scope = scope;
    made.meter_name = instrument.meter().name();
    made.meter_version = instrument.meter().version();
    made.meter_schema_url = instrument.meter().schema_url();
    made.kind = instrument.kind();
    made.is_integer = instrument.is_integer();
    made.name = instrument.name();
    made.unit = instrument.options().unit;
    made.description = printable(instrument.options().description, 64 * 1024);
    made.boundaries = good_boundaries(instrument);
    for (const auto& key : instrument.options().attribute_keys) {
        made.attribute_keys.emplace_back(key);
    }
    made.file = instrument.where().file_name();
    made.line = instrument.where().line();
    return made;
}

// Advisory parameters do not identify: the first ones are used.
bool is_same(const InstrumentDescriptor& a, const InstrumentDescriptor& b) noexcept {
    return a.kind == b.kind && a.is_integer == b.is_integer && a.unit == b.unit &&
           a.description == b.description;
}

void report_conflict(const InstrumentDescriptor& first, const InstrumentDescriptor& second) {
    const auto say = [](const InstrumentDescriptor& one) {
        return fmt::format(
            "{}<{}> in \"{}\" with description \"{}\" ({}:{})", kind_name(one.kind),
            one.is_integer ? "integer" : "double", printable(one.unit, 64),
            printable(one.description, 64), one.file, one.line);
    };
    diagnostics().report(
        DiagnosticLevel::warning, fmt::format("metrics.conflict.{}", first.name),
        fmt::format(
            "instrument \"{}\" of meter \"{}\" is defined twice, differently: as {}, and as {}; "
            "both are exported, and receivers may mix them up: make them alike, or rename one "
            "by a view",
            first.name, printable(first.meter_name, 128), say(first), say(second)));
}

} // namespace

// Source: OpenTelemetry Metrics API, "Instrument name syntax".
std::string problem_in_instrument_name(std::string_view name) {
    const auto is_letter = [](char c) { return lower(c) >= 'a' && lower(c) <= 'z'; };
    const auto is_allowed = [&](char c) {
        return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' ||
               c == '/';
    };
    constexpr std::string_view rule =
        "a name begins with a letter and has up to 255 letters, digits, '_', '.', '-' and '/'";
    if (name.empty()) { return fmt::format("it is empty: {}", rule); }
    if (name.size() > 255) { return fmt::format("it has {} characters: {}", name.size(), rule); }
    if (!is_letter(name.front())) {
        return fmt::format("it begins with '{}': {}", printable(name.substr(0, 1), 8), rule);
    }
    const auto bad = std::find_if_not(name.begin(), name.end(), is_allowed);
    if (bad == name.end()) { return {}; }
    const auto at = static_cast<std::size_t>(bad - name.begin());
    return fmt::format("it has '{}' at {}: {}", printable(name.substr(at, 1), 8), at, rule);
}

// Source: OpenTelemetry Metrics API, "Instrument unit".
std::string problem_in_instrument_unit(std::string_view unit) {
    if (unit.size() > 63) {
        return fmt::format("its unit has {} characters: allowed are 63", unit.size());
    }
    const bool ascii = std::all_of(
        unit.begin(), unit.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    return ascii ? std::string() : "its unit is not ASCII: use the UCUM code";
}

std::uint32_t register_instrument(const InstrumentBase& instrument) noexcept {
    try {
        std::string problem = problem_in_instrument_name(instrument.name());
        if (problem.empty()) { problem = problem_in_instrument_unit(instrument.options().unit); }
        if (!problem.empty()) {
            diagnostics().report(
                DiagnosticLevel::error,
                fmt::format("metrics.name.{}", printable(instrument.name(), 64)),
                fmt::format(
                    "instrument \"{}\" ({}:{}) records nothing: {}",
                    printable(instrument.name(), 255), instrument.where().file_name(),
                    instrument.where().line(), problem));
            return 0;
        }
        const auto scope = register_scope(
            {instrument.meter().name(), instrument.meter().version(),
             instrument.meter().schema_url()});
        auto made = describe(instrument, scope);
        Table& known = table();
        std::unique_lock lock(known.mutex);
        const InstrumentDescriptor* namesake = nullptr;
        for (std::size_t i = 1; i < known.entries.size(); ++i) {
            const auto& entry = known.entries[i];
            if (entry.scope != scope || !equal_in_any_case(entry.name, made.name)) { continue; }
            if (is_same(entry, made)) { return static_cast<std::uint32_t>(i); }
            if (namesake == nullptr) { namesake = &entry; }
        }
        if (known.entries.size() == instruments_max) {
            lock.unlock();
            diagnostics().report(
                DiagnosticLevel::error, "metrics.instruments",
                fmt::format(
                    "instrument \"{}\" records nothing: there are {} already; tell things apart "
                    "by attributes, not by names",
                    made.name, instruments_max - 1));
            return 0;
        }
        made.index = static_cast<std::uint32_t>(known.entries.size());
        if (namesake != nullptr) { made.name = namesake->name; } // First seen wins.
        known.entries.push_back(std::move(made));
        const auto& added = known.entries.back();
        lock.unlock();
        if (namesake != nullptr) { report_conflict(*namesake, added); }
        return added.index;
    } catch (...) { return 0; } // No memory.
}

const InstrumentDescriptor& instrument_descriptor(std::uint32_t index) noexcept {
    Table& known = table();
    const std::lock_guard lock(known.mutex);
    return known.entries[index];
}

KeptInstrument keep_instrument(const InstrumentBase& instrument) noexcept {
    const auto index = instrument.index();
    if (index == 0) { return {Meter().bound_to(nullptr), {}, {}, instrument.where()}; }
    const auto& known = instrument_descriptor(index);
    KeptInstrument kept{
        Meter(known.meter_name, known.meter_version, known.meter_schema_url),
        known.name,
        {.unit = known.unit, .description = known.description, .boundaries = known.boundaries},
        instrument.where()};
    const auto& meter = instrument.meter();
    if (meter.is_bound()) { kept.meter = kept.meter.bound_to(meter.provider()); }
    return kept;
}

std::uint32_t InstrumentBase::register_now() const noexcept {
    const auto index = register_instrument(*this);
    index_.store(index, std::memory_order_relaxed); // See index().
    return index;
}

} // namespace weft::detail
