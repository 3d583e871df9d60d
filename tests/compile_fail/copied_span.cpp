// A span ends once, so it has one owner.
#include <weft/signals/span.hpp>

#include <utility>

int main() {
    weft::Span span("work");
#if defined(WEFT_MISUSE)
    weft::Span other = span;
#else
    weft::Span other = std::move(span);
#endif
    return other.is_recording() ? 1 : 0;
}
