#pragma once
#include <weft/runtime/manual_clock.hpp>

namespace weft::testing {

/// Time as the test says, for spans (not for timers): see weft::ManualClock.
using weft::ManualClock;

} // namespace weft::testing
