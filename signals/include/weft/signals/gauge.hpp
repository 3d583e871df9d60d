#pragma once
#include <weft/signals/bound_instrument.hpp>
#include <weft/signals/instrument.hpp>

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <string_view>

namespace weft {

/// A gauge with its attributes settled. Lifetime: may outlive runtimes.
template <class T = std::int64_t>
requires detail::MetricValue<T>
class BoundGauge : public detail::BoundBase {
public:
    using BoundBase::BoundBase;
    void set(T value) const noexcept { record(std::bit_cast<std::uint64_t>(value)); }
};

/// The last value wins, whichever thread it comes from. Threads: any.
/// Source: OpenTelemetry Metrics API, "Gauge".
template <class T = std::int64_t>
requires detail::MetricValue<T>
class Gauge : public detail::InstrumentBase {
public:
    constexpr explicit Gauge(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) noexcept
        : Gauge(Meter(), name, options, where) {}
    constexpr Gauge(
        const Meter& meter, std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) noexcept
        : InstrumentBase(
              meter, InstrumentKind::gauge, std::is_integral_v<T>, name, options, where) {}

    /// Cost: as Counter::add; threads that set the same series share a cache line.
    void set(T value, std::initializer_list<Attribute> attributes = {}) const noexcept {
        detail::record<T>(*this, value, {attributes.begin(), attributes.size()});
    }
    void set(T value, std::span<const Attribute> attributes) const noexcept {
        detail::record<T>(*this, value, attributes);
    }
    [[nodiscard]] BoundGauge<T> bind(
        std::initializer_list<Attribute> attributes = {}) const noexcept {
        return {*this, std::span<const Attribute>(attributes.begin(), attributes.size())};
    }
};

} // namespace weft
