// Behind a pointer a scope of `with` could end anywhere, in any order.
#include <weft/runtime/with.hpp>

int main() {
#if defined(WEFT_MISUSE)
    delete new weft::ContextScope(weft::with(weft::suppress_telemetry));
#else
    const auto scope = weft::with(weft::suppress_telemetry);
#endif
}
