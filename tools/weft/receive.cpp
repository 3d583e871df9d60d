// weft receive: the receiver on a socket. One thread; the server's coroutines, the printing timer
// and the signals take turns on one io_context, so the Receiver needs no lock.
#include "commands.hpp"
#include "options.hpp"

#include <weft/http/server.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/host.hpp>
#include <weft/runtime/spawn.hpp>
#include <weft/viewer/receiver.hpp>
#include <weft/viewer/trace_text.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <strings.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace weft::cli {
namespace {

using namespace std::chrono_literals;
using Clock = viewer::Receiver::Clock;

struct ReceiveOptions {
    std::uint16_t port = 4318;
    std::string host = "127.0.0.1";
    bool quiet = false;
    std::string json;
    std::size_t traces_max = viewer::StoreOptions{}.traces_max;
    bool ledger = false; // From the environment.
};

constexpr auto print_interval = 250ms;
constexpr auto stop_grace = 2s;
// Each may hold a body of 64 MiB.
constexpr std::size_t connections_max = 256;
// Under load a terminal is no place to read every trace; the rest can be asked for.
constexpr std::size_t printed_per_interval_max = 10;
constexpr std::size_t printed_at_end_max = 50;

class ReceiveProgram {
public:
    explicit ReceiveProgram(ReceiveOptions options)
        : options_(std::move(options)), receiver_({.store = {.traces_max = options_.traces_max}}),
          host_(context_), server_(
                               host_, {.address = options_.host,
                                       .port = options_.port,
                                       .traced = false,
                                       .body_bytes_max = otlp::body_bytes_max_default,
                                       .connections_max = connections_max,
                                       .refusal =
                                           [this](const http::Request& request, int status) {
                                               return refuse(request, status);
                                           }}),
          signals_(context_, SIGINT, SIGTERM), timer_(context_) {
        text_options_.colour = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
        const auto answer = [this](http::Request& request) { return handle(request); };
        // The receiver knows which methods and paths there are, and how OTLP wants to be refused.
        for (const char* method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
            server_.route(method, "/{path...}", answer);
        }
    }

    int run() {
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (!error) { stop(); }
        });
        if (!options_.quiet) { print_later(); }
        const bool is_v6 = options_.host.find(':') != std::string::npos;
        fmt::print(
            stderr, "listening on http://{}{}{}:{}\n", is_v6 ? "[" : "", options_.host,
            is_v6 ? "]" : "", server_.port());
        context_.run();
        return finish();
    }

private:
    // Lifetime: the server keeps the request until the coroutine is done, and this object outlives
    // the server.
    Task<http::Response> handle(http::Request& request) {
        co_return response_of(receiver_.handle(question_of(request), Clock::now()));
    }

    http::Response refuse(const http::Request& request, int status) {
        const auto question = question_of(request);
        // The receiver knows which methods a path has.
        return response_of(
            status == 405 ? receiver_.handle(question, Clock::now())
                          : receiver_.refuse(question, static_cast<unsigned>(status)));
    }

    static viewer::HttpQuestion question_of(const http::Request& request) {
        return {
            .method = request.method(),
            .target = request.target(),
            .content_type = request.header("Content-Type"),
            .content_encoding = request.header("Content-Encoding"),
            .body = request.body()};
    }

    static http::Response response_of(viewer::HttpAnswer answer) {
        auto response = http::Response::with_body(
            static_cast<int>(answer.status), answer.content_type, std::move(answer.body));
        for (const auto& [name, value] : answer.headers) { response.set_header(name, value); }
        return response;
    }

    void print_later() {
        timer_.expires_after(print_interval);
        timer_.async_wait([this](const boost::system::error_code& error) {
            if (error) { return; }
            const auto now = Clock::now();
            print(receiver_.store().take_finished(now, printed_per_interval_max));
            skip(receiver_.store().take_finished(now, SIZE_MAX).size());
            print_later();
        });
    }

    void print(const std::vector<viewer::FinishedTrace>& traces) {
        for (const auto& [trace, shown_before] : traces) {
            if (shown_before > 0) {
                write(fmt::format(
                    "again, with {} more spans: ", trace->spans().size() - shown_before));
            }
            write(viewer::format_trace(*trace, text_options_) + '\n');
        }
    }

    void skip(std::size_t count) {
        if (count == 0) { return; }
        write(fmt::format(
            "... {} more traces; GET /_trace?slowest=N or error=N shows them\n\n", count));
    }

    // To stdout. Receiving goes on without it; the first failure is told at the end.
    void write(std::string_view text) {
        errno = 0;
        const auto written = std::fwrite(text.data(), 1, text.size(), stdout);
        if ((written != text.size() || std::fflush(stdout) != 0) && output_error_ == 0) {
            output_error_ = errno;
        }
    }

    void stop() {
        timer_.cancel();
        // Nothing waits for the end of this chain but the io_context, which runs out of work with
        // it.
        weft::co_spawn(context_, server_.stop(stop_grace), [this](const std::exception_ptr&) {
            context_.stop();
        });
    }

    int finish() {
        if (!options_.quiet) {
            print(receiver_.store().take_all(printed_at_end_max));
            skip(receiver_.store().take_all(SIZE_MAX).size());
        }
        write(receiver_.summary() + '\n');
        const std::string counts = receiver_.counts_json();
        if (options_.ledger) { fmt::print(stderr, "{}\n", counts); }
        int status = exit_done;
        if (output_error_ != 0 &&
            output_error_ != EPIPE) { // A reader may leave when it has seen enough.
            fmt::print(
                stderr, "weft receive: cannot write to standard output: {}\n",
                std::system_category().message(output_error_));
            status = exit_failed;
        }
        if (options_.json.empty()) { return status; }
        std::ofstream file(options_.json, std::ios::trunc);
        file << counts << '\n';
        file.close();
        if (!file) {
            fmt::print(stderr, "weft receive: cannot write {}\n", options_.json);
            return exit_failed;
        }
        return status;
    }

    ReceiveOptions options_;
    viewer::TextOptions text_options_;
    viewer::Receiver receiver_;
    asio::io_context context_{1};
    Host host_;
    http::Server server_;
    asio::signal_set signals_;
    asio::steady_timer timer_;
    int output_error_ = 0; // errno of the first write to stdout that failed.
};

std::optional<int> read_options(std::span<const char* const> arguments, ReceiveOptions& options) {
    const auto keep = [](std::string& target, std::string_view text) {
        target = text;
        return !text.empty();
    };
    const std::array<Option, 5> all{{
        {"--port", "P", "port to listen on; 0 takes a free one (default 4318)",
         [&](std::string_view text) { return take_number(options.port, text, 0, 65535); },
         "a number from 0 to 65535"},
        {"--host", "ADDRESS", "address to listen on (default 127.0.0.1)",
         [&](std::string_view text) { return keep(options.host, text); },
         "an IPv4 or IPv6 address"},
        {"--quiet", "", "do not print traces as they arrive",
         [&](std::string_view) { return options.quiet = true; }},
        {"--json", "FILE", "write the counts there at the end",
         [&](std::string_view text) { return keep(options.json, text); }, "a file name"},
        {"--max-traces", "N",
         "traces to keep; the longest silent are forgotten first (default 100000)",
         [&](std::string_view text) {
             return take_number(options.traces_max, text, 1, 10'000'000);
         },
         "a number from 1 to 10000000"},
    }};
    return parse(
        {.command = "receive",
         .summary =
             "Receives traces, metrics and logs over OTLP/HTTP (protobuf or JSON; plain, gzip or "
             "zstd), prints\n"
             "each finished trace as a tree, and counts everything. Stops on SIGINT and SIGTERM.\n"
             "GET /_counts gives the counts; GET /_trace?slowest=N, ?error=N or ?id=HEX shows "
             "traces.\n"
             "WEFT_LEDGER=json in the environment prints the counts on stderr at the end.",
         .options = all},
        arguments);
}

} // namespace

int receive(std::span<const char* const> arguments) {
    ReceiveOptions options;
    if (const auto status = read_options(arguments, options)) { return *status; }
    if (const char* ledger = std::getenv("WEFT_LEDGER"); ledger != nullptr && *ledger != '\0') {
        options.ledger = strcasecmp(ledger, "json") == 0;
        if (!options.ledger) {
            fmt::print(
                stderr, "weft receive: WEFT_LEDGER=\"{}\": allowed is json; it counts as unset\n",
                weft::printable(ledger, 200));
        }
    }
    // A wrong path should be known now, not after a long run.
    if (!options.json.empty() && !std::ofstream(options.json, std::ios::app)) {
        fmt::print(
            stderr, "weft receive: cannot write {}; give --json a file in a folder that exists\n",
            options.json);
        return exit_failed;
    }
    std::signal(SIGPIPE, SIG_IGN); // A reader of stdout that goes away must not end the receiver.
    std::optional<ReceiveProgram> program;
    try {
        program.emplace(options);
    } catch (const boost::system::system_error& error) {
        fmt::print(
            stderr,
            "weft receive: cannot listen on {} port {}: {}; choose another with --host and "
            "--port\n",
            options.host, options.port, error.code().message());
        return exit_failed;
    }
    return program->run();
}

} // namespace weft::cli
