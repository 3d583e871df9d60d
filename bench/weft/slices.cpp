// Question: for how long do exports on the program's own io_context keep its other handlers waiting? Goal: no longer than
// Options::export_slice. Method: a handler that posts itself again and again takes the time between its runs; whatever is
// longer than its own turn is what exports took in between. In CPU time of the loop's thread, so that other programs on the
// machine are not counted, and by the clock, where they are. Spans are made on another thread.
//
// Usage: weft-bench-slices [spans]
#include "shape.hpp"

#include <weft/http/server.hpp>
#include <weft/weft.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace weft::bench {
namespace {

using namespace std::chrono_literals;

// Takes whatever comes and keeps nothing, on a thread of its own.
class Receiver {
public:
    Receiver()
        : host_(io_),
          server_(host_, {.port = 0, .traced = false, .body_bytes_max = std::size_t{64} << 20}),
          thread_([this] { io_.run(); }) {
        server_.post("/v1/traces", [](http::Request&) -> Task<http::Response> {
            co_return http::Response::with_body(200, "application/x-protobuf", {});
        });
    }
    ~Receiver() {
        io_.stop();
        thread_.join();
    }
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;
    [[nodiscard]] std::string url() const {
        return "http://127.0.0.1:" + std::to_string(server_.port());
    }

private:
    asio::io_context io_{1};
    Host host_;
    http::Server server_;
    std::thread thread_;
};

std::int64_t cpu_ns() noexcept {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}
std::int64_t wall_ns() noexcept {
    return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

struct Gaps {
    std::vector<float> us; // Between two runs of the probe, where something else ran.

    void add(std::int64_t ns) {
        if (ns > 3000) { us.push_back(static_cast<float>(ns) / 1000); }
    }
    [[nodiscard]] float quantile(double share) {
        if (us.empty()) { return 0; }
        std::sort(us.begin(), us.end());
        return us[static_cast<std::size_t>(share * static_cast<double>(us.size() - 1))];
    }
    [[nodiscard]] std::size_t above(float limit) const {
        return static_cast<std::size_t>(
            std::count_if(us.begin(), us.end(), [limit](float gap) { return gap > limit; }));
    }
};

struct Case {
    const char* name;
    std::size_t records_max;
    Compression compression;
};

void run(const Case& wanted, const std::string& url, std::size_t spans) {
    asio::io_context io(1);
    Options options;
    options.service_name = "bench";
    options.metrics_exporter = ExporterKind::none;
    options.export_on = ExportOn::user_executor;
    options.otlp.endpoint = url;
    options.otlp.compression = wanted.compression;
    options.batch.records_max = wanted.records_max;
    options.batch.queue_bytes = std::size_t{256} << 20;
    options.batch.waiting_bytes_max = std::size_t{32} << 20;
    options.batch.delay = 1h;
    options.batch.shards = 1;
    Runtime runtime(io, options);

    std::thread producer([&] {
        for (std::size_t i = 0; i < spans; ++i) {
            const Span span(
                shape::child_name, {{shape::method_key, shape::method},
                                    {shape::route_key, shape::route},
                                    {shape::status_key, shape::status},
                                    {shape::address_key, shape::address}});
        }
    });
    producer.join(); // All of it is there: exports have something to do at every turn.

    Gaps cpu;
    Gaps wall;
    bool done = false;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            (void)co_await runtime.flush(1min);
            done = true;
        },
        [](const std::exception_ptr&) {});
    std::int64_t cpu_before = cpu_ns();
    std::int64_t wall_before = wall_ns();
    const auto begun = cpu_before;
    std::function<void()> probe = [&] {
        const auto cpu_now = cpu_ns();
        const auto wall_now = wall_ns();
        cpu.add(cpu_now - cpu_before);
        wall.add(wall_now - wall_before);
        cpu_before = cpu_ns();
        wall_before = wall_ns();
        if (!done) { asio::post(io, probe); }
    };
    asio::post(io, probe);
    io.run();
    const auto total = static_cast<double>(cpu_ns() - begun);

    const auto ledger = runtime.ledger();
    std::printf(
        "%-28s %9zu spans %6zu lost  turns %7zu  cpu us: p50 %6.1f p99 %6.1f p99.9 %6.1f max "
        "%7.1f, "
        "%5zu over 200  wall us: p99 %7.1f max %8.1f  %6.0f ns a span\n",
        wanted.name, static_cast<std::size_t>(ledger.exported),
        static_cast<std::size_t>(ledger.created - ledger.exported), cpu.us.size(),
        static_cast<double>(cpu.quantile(0.5)), static_cast<double>(cpu.quantile(0.99)),
        static_cast<double>(cpu.quantile(0.999)), static_cast<double>(cpu.quantile(1)),
        cpu.above(200), static_cast<double>(wall.quantile(0.99)),
        static_cast<double>(wall.quantile(1)), total / static_cast<double>(spans));
}

} // namespace
} // namespace weft::bench

int main(int argument_count, char** arguments) {
    const auto spans = argument_count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 200'000;
    const weft::bench::Receiver receiver;
    using weft::Compression;
    for (const weft::bench::Case& wanted :
         {weft::bench::Case{"512 spans, none", 512, Compression::none},
          {"512 spans, zstd -1", 512, Compression::zstd},
          {"512 spans, gzip 1", 512, Compression::gzip},
          {"4 MiB, none", 1u << 20, Compression::none},
          {"4 MiB, zstd -1", 1u << 20, Compression::zstd},
          {"4 MiB, gzip 1", 1u << 20, Compression::gzip}}) {
        weft::bench::run(wanted, receiver.url(), spans);
    }
    return 0;
}
