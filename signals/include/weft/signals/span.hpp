#pragma once
#include <weft/runtime/clock.hpp>
#include <weft/runtime/context.hpp>
#include <weft/signals/attribute.hpp>
#include <weft/signals/scope.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <source_location>
#include <span>
#include <string_view>
#include <utility>

namespace weft {

/// Source: OpenTelemetry Trace API, "SpanKind". The values are OTLP's.
enum class SpanKind : std::uint8_t {
    internal = 1,
    server = 2,
    client = 3,
    producer = 4,
    consumer = 5
};
/// Source: OpenTelemetry Trace API, "Set Status". The values are OTLP's.
enum class StatusCode : std::uint8_t { unset = 0, ok = 1, error = 2 };

/// A point of wall time. Units: nanoseconds since the Unix epoch; zero means "now". Made from any
/// std::chrono::system_clock time point, without this header including <chrono>, which is slow to compile.
struct WallTime {
    std::int64_t unix_ns = 0;

    constexpr WallTime() noexcept = default;
    constexpr explicit WallTime(std::int64_t ns) noexcept : unix_ns(ns) {}
    template <class TimePoint>
    requires requires {
        typename TimePoint::clock;
        typename TimePoint::period;
    }
    constexpr WallTime(const TimePoint& time) noexcept
        : unix_ns(
              static_cast<std::int64_t>(time.time_since_epoch().count()) *
              (1'000'000'000 / TimePoint::period::den) * TimePoint::period::num) {
        static_assert(
            requires(TimePoint t) { TimePoint::clock::to_time_t(t); },
            "a std::chrono::system_clock time point");
        static_assert(
            static_cast<typename TimePoint::rep>(0.5) == 0,
            "whole units: cast to nanoseconds first");
        static_assert(1'000'000'000 % TimePoint::period::den == 0);
    }
};

/// When a span began, and now by the same clock: the wall clock as its local trace took it.
struct SpanTimes {
    WallTime start;
    WallTime now;
    [[nodiscard]] std::int64_t elapsed_ns() const noexcept { return now.unix_ns - start.unix_ns; }
};

/// A reference to another span, in this trace or another. Lifetime: copied before the call returns.
struct Link {
    TraceContext context;
    std::span<const Attribute> attributes{};
};

/// Where a new span belongs. By default under the span that is current in the running chain.
class SpanParent {
public:
    constexpr SpanParent() noexcept = default;
    /// An explicit parent, such as one extracted from a request. An invalid context makes a root.
    SpanParent(TraceContext context) noexcept : explicit_(true), context_(std::move(context)) {}
    /// A new trace, whatever is current.
    [[nodiscard]] static SpanParent root() noexcept { return SpanParent(TraceContext{}); }

    [[nodiscard]] bool is_explicit() const noexcept { return explicit_; }
    [[nodiscard]] const TraceContext& context() const noexcept { return context_; }

private:
    bool explicit_ = false;
    TraceContext context_;
};

struct SpanOptions {
    SpanKind kind = SpanKind::internal;
    SpanParent parent{};
    std::span<const Link> links{};
    WallTime start_time{};
};

namespace detail {

// One for all spans that are given none: not made and destroyed for each. Never destroyed, for spans that static
// destructors start.
union DefaultSpanOptions {
    constexpr DefaultSpanOptions() noexcept : value() {}
    ~DefaultSpanOptions() {} // NOLINT(modernize-use-equals-default)
    SpanOptions value;
};
inline constinit const DefaultSpanOptions default_span_options;

struct SpanRecord;
struct SpanViews;
struct TraceProvider;

// Set by the runtime that is the process's default, read by every span that names no runtime. Null: telemetry is off.
inline constinit std::atomic<TraceProvider*> default_provider{nullptr};

struct SpanStart {
    TraceProvider* provider;
    std::uint16_t scope;
    bool make_current;
    bool is_operation = false; // What its parent awaits, for open_spans().
};
[[nodiscard]] SpanRecord* start_span(
    SpanStart how, std::string_view name, std::span<const Attribute> attributes,
    const SpanOptions& options, std::source_location where) noexcept;
void end_span(SpanRecord* record, std::int64_t end_unix_ns) noexcept;

} // namespace detail

/// Makes spans under a name of its own (the instrumentation scope). Meant as a constant at namespace scope in the file
/// that uses it: it costs nothing before the first span and may be used before, during and after a runtime's life.
/// Threads: any. Lifetime: the texts must live as long as the tracer.
class Tracer {
public:
    /// The scope of spans that name none.
    constexpr Tracer() noexcept : index_(0) {}
    constexpr explicit Tracer(
        std::string_view name, std::string_view version = {},
        std::string_view schema_url = {}) noexcept
        : name_(name), version_(version), schema_url_(schema_url) {}
    /// With scope attributes: registered at once.
    explicit Tracer(const InstrumentationScope& scope) noexcept
        : index_(detail::register_scope(scope)) {}
    Tracer(const Tracer& other) noexcept
        : name_(other.name_), version_(other.version_), schema_url_(other.schema_url_),
          provider_(other.provider_), is_bound_(other.is_bound_),
          // relaxed: see scope_index.
          index_(other.index_.load(std::memory_order_relaxed)) {}
    Tracer& operator=(const Tracer&) = delete;

    /// The same tracer, reporting to a certain runtime instead of the process's default; with null, to nobody.
    /// See Runtime::tracer.
    [[nodiscard]] Tracer bound_to(detail::TraceProvider* provider) const noexcept {
        Tracer tracer(*this);
        tracer.provider_ = provider;
        tracer.is_bound_ = true;
        return tracer;
    }

    /// False when spans made now would go nowhere: no runtime, switched off, or shut down.
    [[nodiscard]] bool is_enabled() const noexcept;

    /// The provider that spans of this tracer report to now, or null. acquire: pairs with the runtime's release, which
    /// publishes a provider that is ready.
    [[nodiscard]] detail::TraceProvider* provider() const noexcept {
        return is_bound_ ? provider_ : detail::default_provider.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::uint16_t scope_index() const noexcept {
        // relaxed: registering twice gives the same index, and the entry is read under the table's mutex.
        const auto index = index_.load(std::memory_order_relaxed);
        return index != unregistered ? static_cast<std::uint16_t>(index) : register_now();
    }

private:
    static constexpr std::uint32_t unregistered = 1U << 16;
    std::uint16_t register_now() const noexcept;

    std::string_view name_ = "weft";
    std::string_view version_;
    std::string_view schema_url_;
    detail::TraceProvider* provider_ = nullptr;
    bool is_bound_ =
        false; // To `provider_`, which then may be null: that of a runtime without telemetry.
    mutable std::atomic<std::uint32_t> index_{
        unregistered}; // Written once with a value that is always the same.
};

/// The operations on a span that do not depend on owning it. Each does nothing when the span is not recording.
/// Threads: one at a time for one span.
class SpanOperations {
public:
    /// False for a span that was not sampled, has ended, or was made without a runtime: skip costly attributes then.
    [[nodiscard]] bool is_recording() const noexcept;

    /// Adds or replaces. Past the limit it is discarded and counted. Invalid UTF-8 is repaired.
    /// Prefer attributes at creation: samplers see only those. Cost: about 10 ns for a short value, no allocation.
    void set_attribute(std::string_view key, const AttributeValue& value) noexcept;
    void set_attributes(std::initializer_list<Attribute> attributes) noexcept;

    void add_event(
        std::string_view name, std::initializer_list<Attribute> attributes = {},
        WallTime time = {}) noexcept;
    /// Links are best given at creation. One with an invalid context is kept only if it says something.
    void add_link(
        const TraceContext& context, std::initializer_list<Attribute> attributes = {}) noexcept;

    /// Ok is final, Error replaces Error and Unset, Unset is ignored. The description is kept for Error only.
    void set_status(StatusCode code, std::string_view description = {}) noexcept;
    /// Status Error and the attribute `error.type`: a low-cardinality word such as an exception's type.
    void set_error(std::string_view error_type, std::string_view description = {}) noexcept;
    /// The event `exception` with type and message; it does not set the status. `attributes` win over generated ones.
    void record_exception(
        const std::exception& error, std::initializer_list<Attribute> attributes = {}) noexcept;
    void record_exception(
        const std::exception_ptr& error, std::initializer_list<Attribute> attributes = {}) noexcept;
    /// Replaces the name given at start. Samplers have decided by the first one.
    void update_name(std::string_view name) noexcept;

protected:
    SpanOperations() noexcept = default;
    explicit SpanOperations(detail::SpanRecord* record) noexcept : record_(record) {}
    detail::SpanRecord* record_ = nullptr;
};

/// One unit of work. Construction makes it the current span of the running chain, destruction ends it.
/// `where` is for open_spans(): where the span was started, by default the line that says so.
/// Threads: one at a time; it lives in the coroutine that does the work and is current there.
/// Cost: when telemetry is off, each call is one branch; recording allocates nothing in the steady state.
/// Source: OpenTelemetry Trace API, "Span".
class [[nodiscard]] Span : public SpanOperations {
public:
    Span() noexcept = default;   ///< Not recording.
    [[nodiscard]] explicit Span( // GCC 12 asks each of the constructors.
        std::string_view name, std::initializer_list<Attribute> attributes = {},
        const SpanOptions& options = detail::default_span_options.value,
        std::source_location where = std::source_location::current()) noexcept {
        // acquire: see Tracer::provider.
        auto* provider = detail::default_provider.load(std::memory_order_acquire);
        if (provider == nullptr && !options.parent.is_explicit()) { return; }
        record_ = detail::start_span(
            {provider, 0, true}, name, {attributes.begin(), attributes.size()}, options, where);
    }
    [[nodiscard]] Span(
        const Tracer& tracer, std::string_view name,
        std::initializer_list<Attribute> attributes = {},
        const SpanOptions& options = detail::default_span_options.value,
        std::source_location where = std::source_location::current()) noexcept
        : Span(
              tracer, name, std::span<const Attribute>(attributes.begin(), attributes.size()),
              options, where) {}
    [[nodiscard]] Span(
        const Tracer& tracer, std::string_view name, std::span<const Attribute> attributes,
        const SpanOptions& options = detail::default_span_options.value,
        std::source_location where = std::source_location::current()) noexcept {
        auto* provider = tracer.provider();
        if (provider == nullptr && !options.parent.is_explicit()) { return; }
        record_ = detail::start_span(
            {provider, tracer.scope_index(), true}, name, attributes, options, where);
    }
    Span(Span&& other) noexcept
        : SpanOperations(std::exchange(other.record_, nullptr)), ended_(other.ended_) {}
    Span& operator=(Span&& other) noexcept {
        if (this != &other) {
            end();
            record_ = std::exchange(other.record_, nullptr);
            ended_ = other.ended_;
        }
        return *this;
    }
    ~Span() {
        if (record_ != nullptr) { detail::end_span(record_, 0); }
    }

    /// A span that is not made current: for work that others carry on. `make_current` may follow.
    [[nodiscard]] static Span detached(
        const Tracer& tracer, std::string_view name,
        std::initializer_list<Attribute> attributes = {},
        const SpanOptions& options = detail::default_span_options.value,
        std::source_location where = std::source_location::current()) noexcept;
    /// As above, for an operation that the current span waits for: open_spans() then says that it does. What
    /// `weft::traced` makes around an Asio operation.
    [[nodiscard]] static Span operation(
        const Tracer& tracer, std::string_view name, SpanKind kind = SpanKind::client,
        std::source_location where = std::source_location::current()) noexcept;
    /// The first span of a new trace, current, with a link to what was current: for a job that a request sets off and
    /// does not wait for. To be made inside the job's own chain.
    [[nodiscard]] static Span following(
        const Tracer& tracer, std::string_view name,
        std::initializer_list<Attribute> attributes = {}, SpanKind kind = SpanKind::internal,
        std::source_location where = std::source_location::current()) noexcept;
    [[nodiscard]] static Span following(
        std::string_view name, std::initializer_list<Attribute> attributes = {},
        SpanKind kind = SpanKind::internal,
        std::source_location where = std::source_location::current()) noexcept {
        return following(Tracer(), name, attributes, kind, where);
    }
    /// Makes a detached span current in the running chain, until it ends. A second call does nothing.
    void make_current() noexcept;

    /// Identity, also after the end and when not sampled. When telemetry is off, that of an explicit parent, if any.
    [[nodiscard]] SpanContext context() const noexcept;
    /// As above, with the trace state: what to give to `w3c::inject` or `SpanOptions::parent`.
    [[nodiscard]] TraceContext trace_context() const noexcept;

    /// For a measurement of exactly what the span will show: record `elapsed_ns()`, then `end(times.now)`. All zero when it
    /// is not recording. It ends no earlier than it began.
    [[nodiscard]] SpanTimes times() const noexcept;
    /// Ends now, or at a time of the caller's. Later calls do nothing. If the queue is full the span is dropped and
    /// counted. The span stops being current.
    void end(WallTime time = {}) noexcept;

private:
    TraceContext ended_; // What context() answers after end().
};

/// The current span of the running chain, to be used at once: `weft::current_span().set_attribute(...)`.
class CurrentSpan : public SpanOperations {
public:
    CurrentSpan() noexcept;
};
[[nodiscard]] inline CurrentSpan current_span() noexcept { return {}; }

} // namespace weft
