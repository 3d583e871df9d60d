// It would end before what it is for has begun. A warning by default, for whoever makes warnings errors.
#include <weft/runtime/with.hpp>

int main() {
#if defined(WEFT_MISUSE)
    weft::with(weft::suppress_telemetry);
#else
    const auto scope = weft::with(weft::suppress_telemetry);
#endif
}
