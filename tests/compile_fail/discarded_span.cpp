// It would end before its work has begun. A warning by default, for whoever makes warnings errors.
#include <weft/signals/span.hpp>

int main() {
#if defined(WEFT_MISUSE)
    weft::Span("work");
#else
    const weft::Span span("work");
#endif
}
