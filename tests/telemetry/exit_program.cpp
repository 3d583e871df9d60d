#include <weft/telemetry/runtime.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

// Ends in the ways in which programs end: exit_program WHAT ENDPOINT. What is said on stdout, exit_test.cpp judges.

namespace {

using namespace std::chrono_literals;

weft::Options options(const char* endpoint) {
    weft::Options options;
    options.service_name = "exit";
    options.metrics_exporter = weft::ExporterKind::none;
    options.otlp.endpoint = endpoint;
    options.batch.delay = std::chrono::hours(1);
    return options;
}

weft::Runtime* kept = nullptr; // NOLINT: static destructors have no other way to it.

// Among the last static destructors: constructed before all that follows.
struct LastWord {
    ~LastWord() {
        if (kept != nullptr) { std::printf("%s\n", kept->ledger_json().c_str()); }
    }
} last_word;

std::unique_ptr<weft::Tracer> tracer; // NOLINT: as above.

// An open span that ends, and one that begins and ends, in a destructor.
struct Late {
    void begin() { open.emplace(weft::Span::detached(*tracer, "ends in a destructor")); }
    ~Late() {
        if (!open) { return; }
        open->set_attribute("still", "safe");
        open.reset();
        const weft::Span span(*tracer, "begins in a destructor");
        weft::Span("of the default runtime").add_event("nobody hears");
    }
    std::optional<weft::Span> open;
};

Late late_static;
std::optional<weft::Runtime> static_runtime;
thread_local Late late_local;

void make_local_span() { late_local.begin(); }

} // namespace

int main(int count, char** arguments) {
    if (count != 3) { return 2; }
    const std::string_view what = arguments[1];
    if (what == "shut down") { // The runtime stays, shut down: what comes late is counted.
        kept = new weft::Runtime(options(arguments[2]));
        tracer = std::make_unique<weft::Tracer>(kept->tracer("exit"));
        late_static.begin();
        make_local_span();
        weft::Span(*tracer, "in time").end();
        std::thread([] {
            make_local_span();
            kept->shutdown_blocking(10s);
        }).join();
        return 0;
    }
    if (what == "destroyed") {
        weft::Runtime runtime(options(arguments[2]));
        tracer = std::make_unique<weft::Tracer>(runtime.tracer("exit"));
        late_static.begin();
        make_local_span();
        weft::Span(*tracer, "in time").end();
        return 0;
    }
    if (what ==
        "static") { // Its destructor runs before that of `late_static`, after `late_local`'s.
        static_runtime.emplace(options(arguments[2]));
        tracer = std::make_unique<weft::Tracer>(static_runtime->tracer("exit"));
        late_static.begin();
        make_local_span();
        weft::Span(*tracer, "in time").end();
        return 0;
    }
    if (what == "fork first") { // Nothing of the library has been used before.
        const pid_t child = fork();
        if (child == 0) {
            weft::Runtime runtime(options(arguments[2]));
            weft::Span("in time").end();
            _exit(runtime.shutdown_blocking(10s)->complete ? 0 : 1);
        }
        int status = -1;
        waitpid(child, &status, 0);
        return status == 0 ? 0 : 1;
    }
    if (what == "detached") { // Threads that nobody joins make spans until the process is no more.
        static std::atomic<int> busy{0};
        weft::Runtime runtime(options(arguments[2]));
        tracer = std::make_unique<weft::Tracer>(runtime.tracer("exit"));
        weft::Span(*tracer, "in time").end();
        runtime.flush_blocking(10s);
        static auto& for_ever = *new weft::Tracer(*tracer);
        for (int i = 0; i < 3; ++i) {
            std::thread([] {
                ++busy;
                for (;;) { // Bound: the life of the process.
                    const weft::Span outer(for_ever, "detached");
                    weft::Span inner("detached", {{"long", std::string(3000, 'x')}});
                }
            }).detach();
        }
        while (busy < 3) { std::this_thread::yield(); }
        return 0;
    }
    return 2;
}
