#pragma once
#include <weft/signals/bound_instrument.hpp>
#include <weft/signals/instrument.hpp>

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <source_location>
#include <string_view>

namespace weft {

namespace detail {

// Adds to this thread's cell of a sum. False: there is none yet, or it is time for an exemplar.
template <MetricValue T>
[[nodiscard]] inline bool add_to_cell(const SeriesTarget& target, T value) noexcept {
    std::uint64_t header;
    CellWord* const cell = find_cell(target.cell_now(), header);
    if (cell == nullptr || target.stream == nullptr || until_exemplar(header) == 0) [[unlikely]] {
        return false;
    }
    // relaxed: only this thread writes them; a collection takes each as it finds it.
    constexpr auto order = std::memory_order_relaxed;
    cell[0].store(header - (std::uint64_t{1} << 32), order);
    const auto sum = std::bit_cast<T>(cell[1].load(order));
    if constexpr (std::is_integral_v<T>) { // Wraps rather than overflows.
        cell[1].store(static_cast<std::uint64_t>(sum) + static_cast<std::uint64_t>(value), order);
    } else {
        cell[1].store(std::bit_cast<std::uint64_t>(sum + value), order);
    }
    return true;
}

} // namespace detail

/// A counter with its attributes settled. Lifetime: may outlive runtimes. Cost: 2 to 3 ns.
template <class T = std::int64_t>
requires detail::MetricValue<T>
class BoundCounter : public detail::BoundBase {
public:
    using BoundBase::BoundBase;
    void add(T value) const noexcept {
        auto* const target = this->target();
        if (target == nullptr) { return; }
        if constexpr (std::is_integral_v<T>) {
            if (value >= 0 && detail::add_to_cell(*target, value)) [[likely]] { return; }
        } else {
            if (value >= 0 && value <= std::numeric_limits<T>::max() &&
                detail::add_to_cell(*target, value)) [[likely]] {
                return;
            }
        }
        record(std::bit_cast<std::uint64_t>(value));
    }
};

/// A sum that only grows. A negative, infinite or NaN value is dropped, counted and reported once.
/// Threads: any. Source: OpenTelemetry Metrics API, "Counter".
template <class T = std::int64_t>
requires detail::MetricValue<T>
class Counter : public detail::InstrumentBase {
public:
    constexpr explicit Counter(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) noexcept
        : Counter(Meter(), name, options, where) {}
    constexpr Counter(
        const Meter& meter, std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) noexcept
        : InstrumentBase(
              meter, InstrumentKind::counter, std::is_integral_v<T>, name, options, where) {}

    /// Cost: about 30 ns with three attributes, no allocation once the set has been seen on this thread; one branch
    /// when telemetry is off.
    void add(T value, std::initializer_list<Attribute> attributes = {}) const noexcept {
        detail::record<T>(*this, value, {attributes.begin(), attributes.size()});
    }
    void add(T value, std::span<const Attribute> attributes) const noexcept {
        detail::record<T>(*this, value, attributes);
    }
    /// Settles the attributes for many measurements.
    [[nodiscard]] BoundCounter<T> bind(
        std::initializer_list<Attribute> attributes = {}) const noexcept {
        return {*this, std::span<const Attribute>(attributes.begin(), attributes.size())};
    }
};

/// As BoundCounter, for an UpDownCounter.
template <class T = std::int64_t>
requires detail::MetricValue<T>
class BoundUpDownCounter : public detail::BoundBase {
public:
    using BoundBase::BoundBase;
    void add(T value) const noexcept {
        auto* const target = this->target();
        if (target == nullptr) { return; }
        if constexpr (std::is_integral_v<T>) {
            if (detail::add_to_cell(*target, value)) [[likely]] { return; }
        } else {
            if (value - value == 0 && detail::add_to_cell(*target, value)) [[likely]] { return; }
        }
        record(std::bit_cast<std::uint64_t>(value));
    }
};

/// A sum that goes both ways: things that are there now. Threads: any.
/// Source: OpenTelemetry Metrics API, "UpDownCounter".
template <class T = std::int64_t>
requires detail::MetricValue<T>
class UpDownCounter : public detail::InstrumentBase {
public:
    constexpr explicit UpDownCounter(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) noexcept
        : UpDownCounter(Meter(), name, options, where) {}
    constexpr UpDownCounter(
        const Meter& meter, std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) noexcept
        : InstrumentBase(
              meter, InstrumentKind::up_down_counter, std::is_integral_v<T>, name, options, where) {
    }

    /// Cost: as Counter::add.
    void add(T value, std::initializer_list<Attribute> attributes = {}) const noexcept {
        detail::record<T>(*this, value, {attributes.begin(), attributes.size()});
    }
    void add(T value, std::span<const Attribute> attributes) const noexcept {
        detail::record<T>(*this, value, attributes);
    }
    [[nodiscard]] BoundUpDownCounter<T> bind(
        std::initializer_list<Attribute> attributes = {}) const noexcept {
        return {*this, std::span<const Attribute>(attributes.begin(), attributes.size())};
    }
};

} // namespace weft
