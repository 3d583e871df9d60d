// A pointer would turn into a bool; addresses are no telemetry.
#include <weft/signals/span.hpp>

int main() {
    weft::Span span("work");
    const int rows = 3;
#if defined(WEFT_MISUSE)
    span.set_attribute("rows", &rows);
#else
    span.set_attribute("rows", rows);
#endif
}
