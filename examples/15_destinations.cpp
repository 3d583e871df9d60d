// Several destinations: a collector that is down, with a spool for what it misses, a file beside it, and errors on the console.
// Expect: one line on standard output for the batch with the error, the file's path and two ledgers that both balance.
#include <weft/weft.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

int main() {
    std::string folder = std::filesystem::temp_directory_path() / "weft-destinations-XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) { return 1; }

    weft::Options options;
    options.service_name = "destinations-example";
    options.metrics_exporter = weft::ExporterKind::none;
    // The first destination. Nobody listens on that port.
    options.otlp.endpoint = "http://127.0.0.1:1";
    // [readme:spool]
    options.otlp.spool = weft::SpoolOptions{.directory = folder + "/spool"};
    // [/readme:spool]
    // [readme:destinations]
    weft::DestinationOptions file;
    file.name = "file";
    file.to = weft::OtlpFileOptions{.path = folder + "/{signal}.jsonl", .files_max = 3};

    weft::DestinationOptions console;
    console.name = "console";
    console.to = weft::ConsoleOptions{.stream = weft::ConsoleStream::standard_error};
    console.signals = {weft::Signal::traces};
    console.filter = [](const weft::Batch& batch) { return batch.records >= 2; };

    options.destinations = {file, console};
    // [/readme:destinations]
    weft::Runtime runtime(std::move(options));
    {
        const weft::Span brew("brew");
        const weft::Span boil("boil");
    }
    // [readme:report]
    const auto report = runtime.shutdown_blocking(std::chrono::milliseconds(500));
    if (report) { std::printf("left on disk: %zu\n", std::size_t(report->spooled)); }
    const weft::Ledger written = runtime.ledger(weft::Signal::traces, "file");
    // [/readme:report]
    std::printf("%s\n", runtime.ledger_json().c_str());
    const bool good =
        written.is_balanced() && written.exported == 2 && runtime.ledger().is_balanced();
    std::filesystem::remove_all(folder);
    return good ? 0 : 1;
}
