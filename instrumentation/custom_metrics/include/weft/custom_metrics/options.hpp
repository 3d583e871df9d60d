#pragma once
#include <weft/runtime/authorization.hpp>
#include <weft/signals/instrument.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace weft {

/// What scripts may post. All of it is ours.
struct CustomMetricsOptions {
    AuthorizationOptions authorization = {};
    /// Without credentials everybody who reaches the endpoint can write metrics: that has to be said.
    bool allow_unauthenticated = false;
    std::string prefix = {}; ///< Before each name, with its dot: "scripts.". Up to 128 characters.
    /// The meter of the instruments. Lifetime: its texts outlive the handler.
    Meter meter = Meter("weft.custom");
    std::size_t names_max = 1000;             ///< Different names, ever; 1 to 10,000. Else 403.
    std::size_t body_bytes_max = 1u << 20;    ///< 2 bytes to 64 MiB. Else 413.
    std::size_t items_max = 1000;             ///< In one request; 1 to 100,000. Else 413.
    std::size_t labels_max = 20;              ///< Of one item; 0 to 64.
    std::size_t label_key_bytes_max = 128;    ///< 1 to 1024.
    std::size_t label_value_bytes_max = 256;  ///< 1 to 4096.
    std::size_t description_bytes_max = 1024; ///< 0 to 65536.
    double requests_per_second = 100; ///< Of all clients together; 0.01 to 1,000,000. Else 429.
    std::uint32_t burst = 0;          ///< Requests at once after a pause; 0: those of a second.
    /// A timestamp may be so far in the past or the future; else 400. 0 to 24 h.
    std::chrono::seconds past_max{600};
    std::chrono::seconds future_max{60};
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is. Never holds a secret.
[[nodiscard]] std::string problem_in(const CustomMetricsOptions& options);

} // namespace weft
