#pragma once
#include <weft/signals/attribute.hpp>
#include <weft/signals/temporality.hpp>

#include <atomic>
#include <cstdint>
#include <source_location>
#include <span>
#include <string_view>

namespace weft {

namespace detail {
class MeterProvider;
// Set by the runtime that is the process's default, read by every measurement of an instrument that names no runtime.
// Null: telemetry is off. release -> acquire: the provider is ready.
inline constinit std::atomic<MeterProvider*> default_meter_provider{nullptr};
} // namespace detail

/// Names the part of a program that its instruments measure (the instrumentation scope). Meant as a constant at namespace
/// scope. Threads: any. Lifetime: the texts must live as long as the meter and its instruments.
class Meter {
public:
    /// The scope of instruments that name none.
    constexpr Meter() noexcept = default;
    constexpr explicit Meter(
        std::string_view name, std::string_view version = {},
        std::string_view schema_url = {}) noexcept
        : name_(name), version_(version), schema_url_(schema_url) {}

    /// The same meter, reporting to a certain runtime instead of the process's default; with null, to nobody.
    /// See Runtime::meter.
    [[nodiscard]] constexpr Meter bound_to(detail::MeterProvider* provider) const noexcept {
        Meter meter(*this);
        meter.provider_ = provider;
        meter.is_bound_ = true;
        return meter;
    }
    [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }
    [[nodiscard]] constexpr std::string_view version() const noexcept { return version_; }
    [[nodiscard]] constexpr std::string_view schema_url() const noexcept { return schema_url_; }
    [[nodiscard]] constexpr bool is_bound() const noexcept { return is_bound_; }

    /// The provider that measurements go to now, or null. acquire: see default_meter_provider.
    [[nodiscard]] detail::MeterProvider* provider() const noexcept {
        return is_bound_ ? provider_
                         : detail::default_meter_provider.load(std::memory_order_acquire);
    }

private:
    std::string_view name_ = "weft";
    std::string_view version_;
    std::string_view schema_url_;
    detail::MeterProvider* provider_ = nullptr;
    bool is_bound_ = false;
};

/// What an instrument says of itself. Lifetime: as the instrument.
struct InstrumentOptions {
    std::string_view unit{}; ///< UCUM, such as "s", "By", "{request}". Up to 63 ASCII characters.
    std::string_view description{}; ///< For people.
    /// Histograms: upper bounds of all buckets but the last, strictly increasing, unless a view says otherwise. Empty: the
    /// specification's. Source: OpenTelemetry Metrics API, "Instrument advisory parameters".
    std::span<const double> boundaries{};
    /// If not empty: only these keys make a series, unless a view says otherwise.
    std::span<const std::string_view> attribute_keys{};
};

namespace detail {

class InstrumentBase {
public:
    constexpr InstrumentBase(
        const Meter& meter, InstrumentKind kind, bool is_integer, std::string_view name,
        const InstrumentOptions& options, const std::source_location& where) noexcept
        : meter_(meter), kind_(kind), is_integer_(is_integer), name_(name), options_(options),
          where_(where) {}
    InstrumentBase(const InstrumentBase& other) noexcept
        : meter_(other.meter_), kind_(other.kind_), is_integer_(other.is_integer_),
          name_(other.name_), options_(other.options_), where_(other.where_),
          // relaxed: see index().
          index_(other.index_.load(std::memory_order_relaxed)) {}
    InstrumentBase& operator=(const InstrumentBase&) = delete;

    [[nodiscard]] const Meter& meter() const noexcept { return meter_; }
    [[nodiscard]] InstrumentKind kind() const noexcept { return kind_; }
    [[nodiscard]] bool is_integer() const noexcept { return is_integer_; }
    [[nodiscard]] std::string_view name() const noexcept { return name_; }
    [[nodiscard]] const InstrumentOptions& options() const noexcept { return options_; }
    [[nodiscard]] const std::source_location& where() const noexcept { return where_; }
    [[nodiscard]] MeterProvider* provider() const noexcept { return meter_.provider(); }

    /// Its place in the process's table; 0 for one whose name or unit is refused. Cost: one load once it is known.
    [[nodiscard]] std::uint32_t index() const noexcept {
        // relaxed: registering twice gives the same index, and the entry is read under the table's mutex.
        const auto index = index_.load(std::memory_order_relaxed);
        return index != unregistered ? index : register_now();
    }

    /// False when a measurement made now would go nowhere: no runtime, switched off, shut down, dropped by every view.
    [[nodiscard]] bool is_enabled() const noexcept;

private:
    static constexpr std::uint32_t unregistered = ~std::uint32_t{0};
    std::uint32_t register_now() const noexcept;

    Meter meter_;
    InstrumentKind kind_;
    bool is_integer_;
    std::string_view name_;
    InstrumentOptions options_;
    std::source_location where_;
    // Written once with a value that is always the same.
    mutable std::atomic<std::uint32_t> index_{unregistered};
};

// `common`: attributes that were encoded before, by encode_labels, and come first.
void record_integer(
    const InstrumentBase& instrument, std::int64_t value, std::span<const Attribute> attributes,
    std::string_view common = {}) noexcept;
void record_floating(
    const InstrumentBase& instrument, double value, std::span<const Attribute> attributes,
    std::string_view common = {}) noexcept;

template <class T>
void record(
    const InstrumentBase& instrument, T value, std::span<const Attribute> attributes,
    std::string_view common = {}) noexcept {
    if constexpr (std::is_integral_v<T>) {
        record_integer(instrument, value, attributes, common);
    } else {
        record_floating(instrument, value, attributes, common);
    }
}

/// An instrument's numbers: signed integers, or doubles.
template <class T>
concept MetricValue = std::is_same_v<T, std::int64_t> || std::is_same_v<T, double>;

} // namespace detail
} // namespace weft
