#pragma once
// The one place where the baggage of messages meets the context of the running chain. The context slot has no room for
// baggage yet, so what comes in stays unused and nothing goes out.
#include <weft/runtime/baggage.hpp>

namespace weft::http::detail {

/// Makes the baggage that came with a request current in the connection's chain, until the request is done.
class CurrentBaggage {
public:
    void set(const Baggage& /*baggage*/) noexcept {}
};

/// What a client's request carries: the baggage that is current in the caller's chain.
[[nodiscard]] inline Baggage baggage_to_send() noexcept { return {}; }

} // namespace weft::http::detail
