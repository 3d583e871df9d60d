#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace weft {

/// A format. Source: OpenTelemetry environment variable specification, OTEL_PROPAGATORS.
enum class Propagator : std::uint8_t {
    tracecontext = 1,
    baggage,
    b3,
    b3multi,
    jaeger,
    xray,
    ottrace
};

inline constexpr std::size_t propagators_max = 7;

/// "tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray" or "ottrace".
[[nodiscard]] std::string_view name(Propagator propagator) noexcept;
/// Exactly such a name. Anything else, "none" included: nullopt.
[[nodiscard]] std::optional<Propagator> parse_propagator(std::string_view name) noexcept;

/// Which formats a program speaks, each at most once. When reading, a later one overrides an earlier one; when
/// writing, all are written. Eight bytes, trivially copied. See composite.hpp for what it is used for.
/// Source: OpenTelemetry Propagators API, "Composite Propagator".
class Propagators {
public:
    using value_type = Propagator;
    using const_iterator = const Propagator*;

    /// W3C trace context and baggage, the specification's default.
    constexpr Propagators() noexcept {
        add(Propagator::tracecontext);
        add(Propagator::baggage);
    }
    /// In this order, without duplicates.
    constexpr Propagators(std::initializer_list<Propagator> list) noexcept {
        for (const auto propagator : list) { add(propagator); }
    }
    /// Reads and writes nothing.
    [[nodiscard]] static constexpr Propagators none() noexcept {
        return Propagators(std::initializer_list<Propagator>{});
    }

    /// At the end; one that is there already changes nothing.
    constexpr void add(Propagator propagator) noexcept {
        if (!contains(propagator)) { list_[count_++] = propagator; }
    }
    [[nodiscard]] constexpr bool contains(Propagator propagator) const noexcept {
        for (const auto known : *this) {
            if (known == propagator) { return true; }
        }
        return false;
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }
    [[nodiscard]] constexpr const Propagator* begin() const noexcept { return list_.data(); }
    [[nodiscard]] constexpr const Propagator* end() const noexcept { return list_.data() + count_; }
    friend constexpr bool operator==(const Propagators&, const Propagators&) noexcept = default;

private:
    std::array<Propagator, propagators_max> list_{};
    std::uint8_t count_ = 0;
};
static_assert(sizeof(Propagators) == 8, "default_propagators is one atomic word");

/// Header names, in the casing in which they are sent.
class FieldNames {
public:
    using value_type = std::string_view;
    using const_iterator = const std::string_view*;

    static constexpr std::size_t names_max = 13;
    void add(std::string_view name) noexcept { names_[count_++] = name; }
    [[nodiscard]] const std::string_view* begin() const noexcept { return names_.data(); }
    [[nodiscard]] const std::string_view* end() const noexcept { return names_.data() + count_; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

private:
    std::array<std::string_view, names_max> names_{};
    std::size_t count_ = 0;
};

/// The fixed header names that `inject` may write. Jaeger's and OT's baggage have names of their own besides.
/// Source: OpenTelemetry Propagators API, "Fields".
[[nodiscard]] FieldNames fields(const Propagators& propagators) noexcept;

/// What this process speaks: what instrumentation uses that was not told otherwise. A Runtime sets it from
/// Options::propagators. Threads: any. Cost: one load.
[[nodiscard]] Propagators default_propagators() noexcept;
void set_default_propagators(const Propagators& propagators) noexcept;

} // namespace weft
