// weft-fault-load: a Runtime as a program would make it, numbered spans, and at the end one JSON line that says where all
// of them went, what it cost, and whether the shutdown kept its deadline.
#include "measure.hpp"

#include <weft/weft.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <set>
#include <stdexcept>
#include <string>

namespace weft::faults {
namespace {

using std::chrono::milliseconds;
using Clock = Pace::Clock;

struct LoadOptions {
    std::uint64_t spans = 1'000'000;
    std::uint64_t first = 0;
    std::uint64_t rate = 0;
    std::uint64_t room = 0;
    std::uint64_t deliver_ms = 60'000;
    std::uint64_t deadline_ms = 1000;
    std::uint64_t backoff_ms = 0;
    std::string progress;
};

constexpr const char* usage =
    "usage: weft-fault-load [options]    (OTEL_* and WEFT_* variables say the rest)\n"
    "  --spans N         spans to record (1000000)\n"
    "  --first N         number of the first, in attribute `n` (0)\n"
    "  --rate N          spans a second; 0, the default: as fast as one thread can\n"
    "  --room N          waits while more than N are queued or in flight; 0, the default: never, "
    "so that spans may be\n"
    "                    dropped\n"
    "  --deliver-ms N    how long to wait, when all are recorded, until all are delivered (60000)\n"
    "  --deadline-ms N   then of the shutdown (1000)\n"
    "  --backoff-ms N    first wait before a retry; 0, the default: the library's own\n"
    "  --progress FILE   keeps there, in 8 bytes that outlive the process, how many have ended\n"
    "  --features        says which of spool, rings and tls this build has, and stops\n"
    "SIGTERM ends the recording early.\n";

volatile std::sig_atomic_t stopped = 0;
void stop(int) { stopped = 1; }

// How many spans have ended, in memory that a kill does not take along.
class Progress {
public:
    explicit Progress(const std::string& path) {
        if (path.empty()) { return; }
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0 || ::ftruncate(file, sizeof(Count)) != 0) {
            throw std::runtime_error("cannot open --progress " + path);
        }
        void* const place =
            ::mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        ::close(file);
        if (place == MAP_FAILED) { throw std::runtime_error("cannot map --progress " + path); }
        count_ = static_cast<Count*>(place);
    }

    // release: whoever reads the file after a kill finds no number whose span had not ended.
    void ended(std::uint64_t numbers) noexcept {
        if (count_ != nullptr) { count_->store(numbers, std::memory_order_release); }
    }

private:
    using Count = std::atomic<std::uint64_t>;
    Count* count_ = nullptr;
};

std::uint64_t under_way(const Ledger& ledger) noexcept { return ledger.queued + ledger.in_flight; }

void wait_for_room(const Runtime& runtime, std::uint64_t room) {
    while (stopped == 0 && under_way(runtime.ledger()) > room) {
        std::this_thread::sleep_for(milliseconds(1));
    }
}

std::uint64_t record(const Runtime& runtime, const LoadOptions& options) {
    constexpr std::uint64_t stretch = 256;
    Progress progress(options.progress);
    const Pace pace(options.rate);
    std::uint64_t done = 0;
    for (; done < options.spans && stopped == 0; ++done) {
        pace.wait(done);
        if (options.room != 0 && done % stretch == 0) { wait_for_room(runtime, options.room); }
        {
            const Span span(
                "GET /orders/{id}", {{"n", static_cast<std::int64_t>(options.first + done)},
                                     {"http.request.method", "GET"},
                                     {"http.route", "/orders/{id}"},
                                     {"server.address", "127.0.0.1"}});
        }
        progress.ended(options.first + done + 1);
    }
    return done;
}

// Until nothing is under way or on disk, or the time is over.
bool deliver(Runtime& runtime, milliseconds within) {
    const auto until = Clock::now() + within;
    for (;;) {
        const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now());
        if (left > milliseconds(0)) {
            (void)runtime.flush_blocking(std::min(left, milliseconds(1000)));
        }
        const Ledger ledger = runtime.ledger();
        if (under_way(ledger) + ledger.spooled == 0) { return true; }
        if (left <= milliseconds(0)) { return false; }
        std::this_thread::sleep_for(std::min(left, milliseconds(10)));
    }
}

int run(const LoadOptions& wanted) {
    Options options = options_from_env();
    if (wanted.backoff_ms != 0) {
        options.otlp.retry.initial_backoff = milliseconds(wanted.backoff_ms);
    }
    Runtime runtime(std::move(options));
    const auto began = Clock::now();
    const double cpu_before = cpu_seconds();
    const auto recorded = record(runtime, wanted);
    const double record_s = seconds_since(began);
    const bool delivered = deliver(runtime, milliseconds(wanted.deliver_ms));
    const double elapsed_s = seconds_since(began);
    const double cpu_s = cpu_seconds() - cpu_before;
    const auto stopping = Clock::now();
    const auto report = runtime.shutdown_blocking(milliseconds(wanted.deadline_ms));
    const double shutdown_ms = 1000 * seconds_since(stopping);
    if (!report) { throw std::runtime_error("shutdown: " + report.error().message()); }
    fmt::print(
        "{{\"recorded\": {}, \"first\": {}, \"record_s\": {:.3f}, \"elapsed_s\": {:.3f}, "
        "\"cpu_s\": {:.4f}, "
        "\"peak_rss_kib\": {}, \"delivered\": {}, \"deadline_ms\": {}, \"shutdown_ms\": {:.2f}, "
        "\"complete\": {}, \"ledger\": {}}}\n",
        recorded, wanted.first, record_s, elapsed_s, cpu_s, peak_rss_kib(), delivered,
        wanted.deadline_ms, shutdown_ms, report->complete, runtime.ledger().to_json());
    return 0;
}

// Asked of the library itself: which variables it reads, and whether it takes an https endpoint.
int print_features() {
    std::set<std::string, std::less<>> asked;
    std::vector<std::string> problems;
    const auto options = options_from_env(
        [&](const char* name) -> const char* {
            asked.insert(name);
            return std::strcmp(name, "OTEL_EXPORTER_OTLP_ENDPOINT") == 0 ? "https://localhost:1"
                                                                         : nullptr;
        },
        problems);
    fmt::print(
        "{{\"spool\": {}, \"rings\": {}, \"tls\": {}}}\n", asked.contains("WEFT_SPOOL_DIR"),
        asked.contains("WEFT_DURABLE_RINGS"), options.traces_exporter == ExporterKind::otlp);
    return 0;
}

std::uint64_t number(const std::string& name, const char* text) {
    std::uint64_t value = 0;
    const char* const end = text + std::strlen(text);
    const auto read = std::from_chars(text, end, value);
    if (read.ec != std::errc() || read.ptr != end) {
        throw std::invalid_argument(name + " takes a whole number, not '" + text + "'");
    }
    return value;
}

void take(LoadOptions& options, const std::string& name, const char* value) {
    const std::initializer_list<std::pair<const char*, std::uint64_t*>> numbers{
        {"--spans", &options.spans},
        {"--first", &options.first},
        {"--rate", &options.rate},
        {"--room", &options.room},
        {"--deliver-ms", &options.deliver_ms},
        {"--deadline-ms", &options.deadline_ms},
        {"--backoff-ms", &options.backoff_ms}};
    for (const auto& [known, target] : numbers) {
        if (name == known) {
            *target = number(name, value);
            return;
        }
    }
    if (name != "--progress") {
        throw std::invalid_argument("unknown option '" + name + "'; see --help");
    }
    options.progress = value;
}

} // namespace
} // namespace weft::faults

int main(int argc, char** argv) {
    using namespace weft::faults;
    try {
        LoadOptions options;
        for (int i = 1; i < argc; ++i) {
            const std::string name = argv[i];
            if (name == "--help" || name == "-h") {
                std::fputs(usage, stdout);
                return 0;
            }
            if (name == "--features") { return print_features(); }
            if (i + 1 == argc) {
                throw std::invalid_argument(
                    "unknown option, or one without its value: '" + name + "'; see --help");
            }
            take(options, name, argv[++i]);
        }
        std::signal(SIGTERM, stop);
        std::signal(SIGINT, stop);
        return run(options);
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "weft-fault-load: %s\n", error.what());
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "weft-fault-load: %s\n", error.what());
        return 1;
    }
}
