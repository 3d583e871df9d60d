#pragma once
// Instruments that belong together: a common prefix, common attributes.
//
//     const weft::MetricGroup orders("shop.orders", {{"region", "eu"}});
//     const auto placed = orders.counter("placed", {.unit = "{order}"}); // shop.orders.placed
//     placed.add(1, {{"channel", "web"}});                               // region=eu, channel=web
//     const auto open = orders.observable_gauge<std::int64_t>(
//         "open", {}, [](weft::Observations& to) { to.observe(count_open()); });
//
// The common attributes are encoded once, when the group is made.

#include <weft/signals/counter.hpp>
#include <weft/signals/detail/instrument_names.hpp>
#include <weft/signals/gauge.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/observable.hpp>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

namespace detail {

/// The attributes as bytes that record_integer and the like take. Empty also if there are none.
/// Errors: std::bad_alloc; std::length_error: more than 64 KiB.
[[nodiscard]] std::string encode_labels(
    std::string_view common, std::span<const Attribute> attributes);

// An instrument of a group: texts of the process's table, attributes shared with the group.
class GroupInstrument {
public:
    GroupInstrument(
        const KeptInstrument& kept, InstrumentKind kind, bool is_integer,
        std::shared_ptr<const std::string> common) noexcept
        : base_(kept.meter, kind, is_integer, kept.name, kept.options, kept.where),
          common_(std::move(common)) {}

    /// With the group's prefix. Lifetime: of the process.
    [[nodiscard]] std::string_view name() const noexcept { return base_.name(); }
    [[nodiscard]] const InstrumentBase& instrument() const noexcept { return base_; }
    [[nodiscard]] bool is_enabled() const noexcept { return base_.is_enabled(); }
    /// The group's attributes, encoded.
    [[nodiscard]] std::string_view common() const noexcept { return *common_; }

protected:
    template <class T>
    void put(T value, std::span<const Attribute> attributes) const noexcept {
        detail::record<T>(base_, value, attributes, *common_);
    }
    [[nodiscard]] const CommonAttributes& shared_common() const noexcept { return common_; }

private:
    InstrumentBase base_;
    std::shared_ptr<const std::string> common_;
};

[[nodiscard]] inline std::span<const Attribute> as_span(
    std::initializer_list<Attribute> attributes) noexcept {
    return {attributes.begin(), attributes.size()};
}

} // namespace detail

/// A Counter of a group. Threads: any. Lifetime: may outlive the group.
template <class T = std::int64_t>
requires detail::MetricValue<T>
class GroupCounter : public detail::GroupInstrument {
public:
    using GroupInstrument::GroupInstrument;
    /// The group's attributes come first: of equal keys, the one given here counts. Cost: as Counter::add.
    void add(T value, std::initializer_list<Attribute> attributes = {}) const noexcept {
        put(value, detail::as_span(attributes));
    }
    void add(T value, std::span<const Attribute> attributes) const noexcept {
        put(value, attributes);
    }
    /// Costs no more than one that was bound without a group.
    [[nodiscard]] BoundCounter<T> bind(
        std::initializer_list<Attribute> attributes = {}) const noexcept {
        return {instrument(), detail::as_span(attributes), common()};
    }
};

/// As GroupCounter, for an UpDownCounter.
template <class T = std::int64_t>
requires detail::MetricValue<T>
class GroupUpDownCounter : public detail::GroupInstrument {
public:
    using GroupInstrument::GroupInstrument;
    void add(T value, std::initializer_list<Attribute> attributes = {}) const noexcept {
        put(value, detail::as_span(attributes));
    }
    void add(T value, std::span<const Attribute> attributes) const noexcept {
        put(value, attributes);
    }
    [[nodiscard]] BoundUpDownCounter<T> bind(
        std::initializer_list<Attribute> attributes = {}) const noexcept {
        return {instrument(), detail::as_span(attributes), common()};
    }
};

/// As GroupCounter, for a Gauge.
template <class T = std::int64_t>
requires detail::MetricValue<T>
class GroupGauge : public detail::GroupInstrument {
public:
    using GroupInstrument::GroupInstrument;
    void set(T value, std::initializer_list<Attribute> attributes = {}) const noexcept {
        put(value, detail::as_span(attributes));
    }
    void set(T value, std::span<const Attribute> attributes) const noexcept {
        put(value, attributes);
    }
    [[nodiscard]] BoundGauge<T> bind(
        std::initializer_list<Attribute> attributes = {}) const noexcept {
        return {instrument(), detail::as_span(attributes), common()};
    }
};

/// As GroupCounter, for a Histogram. For a timer, bind it.
template <class T = double>
requires detail::MetricValue<T>
class GroupHistogram : public detail::GroupInstrument {
public:
    using GroupInstrument::GroupInstrument;
    void record(T value, std::initializer_list<Attribute> attributes = {}) const noexcept {
        put(value, detail::as_span(attributes));
    }
    void record(T value, std::span<const Attribute> attributes) const noexcept {
        put(value, attributes);
    }
    [[nodiscard]] BoundHistogram<T> bind(
        std::initializer_list<Attribute> attributes = {}) const noexcept {
        return {instrument(), detail::as_span(attributes), common()};
    }
};

/// An observable instrument of a group, of any of the three kinds. With a callback, it is asked as long as this lives.
/// Threads: any. Lifetime: may outlive the group.
class [[nodiscard]] GroupObservable : public detail::GroupInstrument {
public:
    /// Without a callback: for an ObservableCallback over several, `{group_observable.instrument(), ...}`, which observes
    /// by `observations.observe(group_observable, value)`.
    using GroupInstrument::GroupInstrument;
    /// What is observed without naming an instrument is this one's, and has the group's attributes. Errors: std::bad_alloc.
    template <std::invocable<Observations&> F>
    GroupObservable(
        const detail::KeptInstrument& kept, InstrumentKind kind, bool is_integer,
        detail::CommonAttributes common, F callback)
        : GroupInstrument(kept, kind, is_integer, std::move(common)),
          callback_({instrument()}, std::move(callback), shared_common()) {}

private:
    ObservableCallback callback_;
};

/// Makes instruments with a common prefix and common attributes. Texts and attributes are copied: they may be made while
/// the program runs. What instruments are called stays in the process's table for ever, at most 16383 of them, so
/// let attributes tell customers apart, not names.
/// Threads: any. Lifetime: instruments may outlive the group.
class MetricGroup {
public:
    /// Without a prefix, names stand as they are. Attributes of more than 64 KiB are an error in the library's own log, and
    /// the group's instruments record nothing. Errors: std::bad_alloc.
    explicit MetricGroup(std::string_view prefix, std::initializer_list<Attribute> attributes = {})
        : MetricGroup(Meter(), prefix, attributes) {}
    /// Lifetime: the meter's texts, as long as instruments are being made.
    MetricGroup(
        const Meter& meter, std::string_view prefix,
        std::initializer_list<Attribute> attributes = {})
        : MetricGroup(meter, prefix, detail::as_span(attributes)) {}
    MetricGroup(const Meter& meter, std::string_view prefix, std::span<const Attribute> attributes);

    /// A group inside of this one: `shop.orders` and "refunds" are `shop.orders.refunds`; its attributes come behind.
    [[nodiscard]] MetricGroup group(
        std::string_view prefix, std::initializer_list<Attribute> attributes = {}) const;

    /// `name` follows the prefix and a dot. A name or unit that OpenTelemetry does not allow is an error in the
    /// library's own log at once, and the instrument records nothing. Errors: std::bad_alloc.
    template <class T = std::int64_t>
    [[nodiscard]] GroupCounter<T> counter(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupCounter<T>, T>(InstrumentKind::counter, name, options, where);
    }
    template <class T = std::int64_t>
    [[nodiscard]] GroupUpDownCounter<T> up_down_counter(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupUpDownCounter<T>, T>(
            InstrumentKind::up_down_counter, name, options, where);
    }
    template <class T = std::int64_t>
    [[nodiscard]] GroupGauge<T> gauge(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupGauge<T>, T>(InstrumentKind::gauge, name, options, where);
    }
    template <class T = double>
    [[nodiscard]] GroupHistogram<T> histogram(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupHistogram<T>, T>(InstrumentKind::histogram, name, options, where);
    }

    /// As ObservableCounter: with a callback, a function or a coroutine of `Observations&`, or without.
    template <class T = std::int64_t>
    [[nodiscard]] GroupObservable observable_counter(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupObservable, T>(InstrumentKind::observable_counter, name, options, where);
    }
    template <class T = std::int64_t, std::invocable<Observations&> F>
    [[nodiscard]] GroupObservable observable_counter(
        std::string_view name, const InstrumentOptions& options, F callback,
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupObservable, T>(
            InstrumentKind::observable_counter, name, options, where, std::move(callback));
    }
    template <class T = std::int64_t>
    [[nodiscard]] GroupObservable observable_up_down_counter(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupObservable, T>(
            InstrumentKind::observable_up_down_counter, name, options, where);
    }
    template <class T = std::int64_t, std::invocable<Observations&> F>
    [[nodiscard]] GroupObservable observable_up_down_counter(
        std::string_view name, const InstrumentOptions& options, F callback,
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupObservable, T>(
            InstrumentKind::observable_up_down_counter, name, options, where, std::move(callback));
    }
    template <class T = double>
    [[nodiscard]] GroupObservable observable_gauge(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupObservable, T>(InstrumentKind::observable_gauge, name, options, where);
    }
    template <class T = double, std::invocable<Observations&> F>
    [[nodiscard]] GroupObservable observable_gauge(
        std::string_view name, const InstrumentOptions& options, F callback,
        const std::source_location& where = std::source_location::current()) const {
        return make<GroupObservable, T>(
            InstrumentKind::observable_gauge, name, options, where, std::move(callback));
    }

    [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }

private:
    MetricGroup(
        const Meter& meter, std::string_view outer, std::string_view prefix,
        std::string_view common, std::span<const Attribute> attributes);

    template <class Made, detail::MetricValue T, class... Callback>
    [[nodiscard]] Made make(
        InstrumentKind kind, std::string_view name, const InstrumentOptions& options,
        const std::source_location& where, Callback&&... callback) const {
        constexpr bool is_integer = std::is_integral_v<T>;
        return Made(
            keep(kind, is_integer, name, options, where), kind, is_integer, common_,
            std::forward<Callback>(callback)...);
    }
    [[nodiscard]] detail::KeptInstrument keep(
        InstrumentKind kind, bool is_integer, std::string_view name,
        const InstrumentOptions& options, const std::source_location& where) const;

    Meter meter_; // Bound to nobody if the attributes are too large.
    std::string prefix_;
    std::shared_ptr<const std::string> common_;
};

} // namespace weft
