#pragma once
// What a request adds to the metrics of the HTTP conventions. It is measured whether or not its span is sampled; where
// there is a span, both say the same: duration, error type, method, route.
//
// Measurements go to the process's default runtime. Their attributes are looked up by their bytes, per thread; nothing is
// allocated once a set has been seen.
// Source: OpenTelemetry semantic conventions 1.44, "HTTP metrics".

#include <weft/signals/attribute.hpp>
#include <weft/signals/instrument.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft::http::detail {

/// What to measure. Off: that instrument is never touched.
struct Measured {
    bool duration = false;
    bool active = false;
    bool body_sizes = false;
    [[nodiscard]] bool anything() const noexcept { return duration || active || body_sizes; }
};

/// How a request went.
struct Outcome {
    std::int64_t elapsed_ns = 0;
    int status = 0;                    ///< 0: none was sent or received.
    std::string_view error_type{};     ///< Empty: no error.
    std::string_view protocol_version; ///< Empty: not known.
};

/// A scheme that a proxy or a client claims, as an attribute: only what is known, for anybody can send anything.
[[nodiscard]] std::string_view metric_scheme(std::string_view claimed) noexcept;

/// One request of a server. Lifetime: the views outlive it.
class ServerMeasurement {
public:
    /// Whether a runtime takes metrics now.
    [[nodiscard]] static bool is_wanted() noexcept { return Meter().provider() != nullptr; }

    /// The request is active from now on.
    void start(
        const Measured& measured, std::string_view method, std::string_view scheme,
        std::string_view route) noexcept;
    [[nodiscard]] bool is_under_way() const noexcept { return measured_.anything(); }
    [[nodiscard]] std::int64_t start_ns() const noexcept { return start_ns_; }
    void request_body(std::size_t bytes) noexcept { request_bytes_ = bytes; }
    void response_body(std::size_t bytes) noexcept { response_bytes_ = bytes; }
    void finish(const Outcome& outcome) noexcept;

private:
    Measured measured_; // Nothing before the start and after the finish.
    std::string_view method_;
    std::string_view scheme_;
    std::string_view route_; // Empty: no pattern matched.
    std::int64_t start_ns_ = 0;
    std::size_t request_bytes_ = 0;
    std::size_t response_bytes_ = 0;
};

/// One attempt of a client. Lifetime: the views outlive it.
class ClientMeasurement {
public:
    [[nodiscard]] static bool is_wanted() noexcept { return Meter().provider() != nullptr; }

    void start(
        const Measured& measured, std::string_view method, std::string_view address,
        std::uint16_t port) noexcept;
    [[nodiscard]] bool is_under_way() const noexcept { return measured_.anything(); }
    [[nodiscard]] std::int64_t start_ns() const noexcept { return start_ns_; }
    void request_body(std::size_t bytes) noexcept { request_bytes_ = bytes; }
    void response_body(std::size_t bytes) noexcept { response_bytes_ = bytes; }
    void finish(const Outcome& outcome) noexcept;

private:
    Measured measured_; // As above.
    std::string_view method_;
    std::string_view address_;
    std::uint16_t port_ = 0;
    std::int64_t start_ns_ = 0;
    std::size_t request_bytes_ = 0;
    std::size_t response_bytes_ = 0;
};

} // namespace weft::http::detail
