// A char could mean its code or its text.
#include <weft/signals/span.hpp>

int main() {
    weft::Span span("work");
#if defined(WEFT_MISUSE)
    span.set_attribute("grade", 'a');
#else
    span.set_attribute("grade", "a");
#endif
}
