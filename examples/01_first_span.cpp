// The smallest program: one span, sent to the receiver that OTEL_EXPORTER_OTLP_ENDPOINT names (http://localhost:4318).
// Expect: "spans exported: 1 of 1" when `weft receive` runs in another terminal, else "0 of 1"
// after a second, and the end after Options::shutdown_timeout (5 s).

// [readme:first_span]
#include <weft/weft.hpp>

#include <cstdio>

int main() {
    weft::Runtime runtime(weft::options_from_env());
    {
        weft::Span span("make tea", {{"tea.kind", "oolong"}, {"tea.cups", 2}});
        span.add_event("water boils");
    } // Ends here.
    (void)runtime.flush_blocking(std::chrono::seconds(1));
    const weft::Ledger ledger = runtime.ledger();
    std::printf(
        "spans exported: %zu of %zu\n", std::size_t(ledger.exported), std::size_t(ledger.created));
}
// [/readme:first_span]
