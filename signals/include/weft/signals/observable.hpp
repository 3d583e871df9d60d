#pragma once
#include <weft/signals/instrument.hpp>

#include <boost/asio/awaitable.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace asio = boost::asio;

namespace detail {
class GroupInstrument;
struct Callback;
struct ObservationBatch;
// Encoded attributes that come in front of those of an observation. Null: none.
using CommonAttributes = std::shared_ptr<const std::string>;
} // namespace detail

/// What a callback reports in one collection. Lifetime: of that collection; later reports go nowhere.
/// Threads: one at a time.
class Observations {
public:
    explicit Observations(std::shared_ptr<detail::ObservationBatch> batch) noexcept
        : batch_(std::move(batch)) {}

    /// For callbacks of one instrument.
    template <detail::MetricValue T>
    void observe(T value, std::initializer_list<Attribute> attributes = {}) noexcept {
        add(nullptr, std::bit_cast<std::uint64_t>(value), std::is_integral_v<T>,
            {attributes.begin(), attributes.size()});
    }
    /// For callbacks of several: one that the callback was not registered for is left out and reported once.
    template <detail::MetricValue T>
    void observe(
        const detail::InstrumentBase& instrument, T value,
        std::initializer_list<Attribute> attributes = {}) noexcept {
        add(&instrument, std::bit_cast<std::uint64_t>(value), std::is_integral_v<T>,
            {attributes.begin(), attributes.size()});
    }
    /// As above, of a group: its attributes come first.
    template <detail::MetricValue T, std::derived_from<detail::GroupInstrument> Instrument>
    void observe(
        const Instrument& instrument, T value,
        std::initializer_list<Attribute> attributes = {}) noexcept {
        add(&instrument.instrument(), std::bit_cast<std::uint64_t>(value), std::is_integral_v<T>,
            {attributes.begin(), attributes.size()}, instrument.common());
    }

private:
    void add(
        const detail::InstrumentBase* instrument, std::uint64_t bits, bool is_integer,
        std::span<const Attribute> attributes, std::string_view common = {}) noexcept;
    std::shared_ptr<detail::ObservationBatch> batch_;
};

/// A callback that is asked in each collection of each reader, until this handle goes. It is called on the thread that
/// collects (the runtime's export thread, or that of a Prometheus scrape); it must not wait. A coroutine may, up to
/// the reader's callback_timeout. What a callback throws is reported; its other observations stand.
/// Threads: make and destroy anywhere; destruction waits for a plain callback that is being called, unless by itself.
/// A coroutine that is under way goes on to its end: it must own what it uses.
/// Source: OpenTelemetry Metrics API, "Asynchronous Instrument API".
class [[nodiscard]] ObservableCallback {
public:
    using Plain = std::function<void(Observations&)>;
    using Coroutine = std::function<asio::awaitable<void>(Observations&)>;

    ObservableCallback() noexcept = default; ///< Nothing.
    /// Errors: std::bad_alloc. Instruments of one meter. `common`: a group's, for observations that name no instrument.
    ObservableCallback(
        std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>> instruments,
        Plain callback, detail::CommonAttributes common = nullptr);
    ObservableCallback(
        std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>> instruments,
        Coroutine callback, detail::CommonAttributes common = nullptr);
    /// A function or a coroutine, told apart by what it returns.
    template <std::invocable<Observations&> F>
    ObservableCallback(
        std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>> instruments,
        F callback, detail::CommonAttributes common = nullptr)
        : ObservableCallback(
              instruments,
              std::conditional_t<
                  std::is_void_v<std::invoke_result_t<F&, Observations&>>, Plain, Coroutine>(
                  std::move(callback)),
              std::move(common)) {}
    ObservableCallback(ObservableCallback&& other) noexcept = default;
    ObservableCallback& operator=(ObservableCallback&& other) noexcept {
        std::swap(callback_, other.callback_);
        return *this;
    }
    ~ObservableCallback();

    /// It is not called again; a call under way is not waited for. Cost: one store, no lock: for a forked child that
    /// leaves behind what its parent's callback asks.
    void disable() noexcept;

private:
    std::shared_ptr<detail::Callback> callback_;
};

namespace detail {

/// What the three observable instruments have in common; `which` makes the difference.
template <class T, InstrumentKind which>
class Observable : public InstrumentBase {
public:
    /// Without a callback: for ObservableCallback over several instruments.
    explicit Observable(
        std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) noexcept
        : Observable(Meter(), name, options, where) {}
    Observable(
        const Meter& meter, std::string_view name, const InstrumentOptions& options = {},
        const std::source_location& where = std::source_location::current()) noexcept
        : InstrumentBase(meter, which, std::is_integral_v<T>, name, options, where) {}
    /// With a callback: a function, or a coroutine, of `Observations&`. Errors: std::bad_alloc.
    template <std::invocable<Observations&> F>
    Observable(
        std::string_view name, const InstrumentOptions& options, F callback,
        const std::source_location& where = std::source_location::current())
        : Observable(Meter(), name, options, std::move(callback), where) {}
    template <std::invocable<Observations&> F>
    Observable(
        const Meter& meter, std::string_view name, const InstrumentOptions& options, F callback,
        const std::source_location& where = std::source_location::current())
        : InstrumentBase(meter, which, std::is_integral_v<T>, name, options, where),
          callback_({*this}, std::move(callback)) {}
    Observable(const Observable&) = delete;

private:
    ObservableCallback callback_;
};

} // namespace detail

/// A sum that only grows and that somebody else keeps: the callback reports its absolute value.
template <class T = std::int64_t>
requires detail::MetricValue<T>
class ObservableCounter : public detail::Observable<T, InstrumentKind::observable_counter> {
    using detail::Observable<T, InstrumentKind::observable_counter>::Observable;
};

/// As ObservableCounter, for a sum that goes both ways.
template <class T = std::int64_t>
requires detail::MetricValue<T>
class ObservableUpDownCounter
    : public detail::Observable<T, InstrumentKind::observable_up_down_counter> {
    using detail::Observable<T, InstrumentKind::observable_up_down_counter>::Observable;
};

/// A value that cannot be added up, such as a temperature.
template <class T = double>
requires detail::MetricValue<T>
class ObservableGauge : public detail::Observable<T, InstrumentKind::observable_gauge> {
    using detail::Observable<T, InstrumentKind::observable_gauge>::Observable;
};

} // namespace weft
