// Where spans go and what became of them: endpoint, compression and batching in code, flush with a deadline, the ledger.
// Expect: the report of the flush and the ledger; without a collector on port 4318 the spans are pending, then dropped.
#include <weft/weft.hpp>

#include <cstdio>

int main() {
    weft::Options options =
        weft::options_from_env(); // The environment first, so that code has the last word.
    options.service_name = "collector-example";
    options.otlp.compression = weft::Compression::gzip;
    options.batch.records_max = 256;
    options.batch.delay = std::chrono::milliseconds(200);
    weft::Runtime runtime(std::move(options));

    for (int i = 0; i < 1000; ++i) { weft::Span span("work", {{"item", i}}); }

    const auto flushed = runtime.flush_blocking(std::chrono::seconds(2));
    if (!flushed) { return 1; }
    std::printf(
        "flush: complete %d, exported %zu, pending %zu\n", flushed->complete,
        std::size_t(flushed->exported), std::size_t(flushed->pending));
    (void)runtime.shutdown_blocking(std::chrono::seconds(1));
    const weft::Ledger ledger = runtime.ledger();
    std::printf(
        "ledger: %s\nbalanced: %s\n", ledger.to_json().c_str(),
        ledger.is_balanced() ? "yes" : "no");
    return ledger.is_balanced() ? 0 : 1;
}
