// HTTP/1.1, written once more and by hand: the server that a sender is tried against shares no code with it.
#pragma once
#include "plan.hpp"
#include "store.hpp"
#include "stream.hpp"

namespace weft::faults {

/// Serves one connection until it ends. Never throws. Lifetime: store and plan outlive the call.
void serve(Stream& stream, Store& store, Plan& plan) noexcept;

} // namespace weft::faults
