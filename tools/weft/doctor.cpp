// weft doctor: sends a collector one of each signal and says, for each step on the way, whether it works, how long it took,
// what is wrong and how to mend it. One thread; the same sink sends as in a program.
#include "collector.hpp"
#include "commands.hpp"
#include "environment.hpp"
#include "options.hpp"
#include "signal_sink.hpp"

#include <weft/exporters/otlp_http.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weft::cli {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using asio::ip::tcp;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

struct Step {
    enum class State : std::uint8_t { ok, failed, skipped };

    std::string name;
    State state = State::ok;
    double ms = 0;
    std::string says;
    std::string remedy; // Of what failed.
};

std::string_view name_of(Step::State state) {
    switch (state) {
    case Step::State::ok:
        return "ok";
    case Step::State::failed:
        return "failed";
    case Step::State::skipped:
        break;
    }
    return "skipped";
}

double ms_since(Clock::time_point begun) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
}

constexpr std::string_view not_otlp =
    "is this the OTLP/HTTP port of a collector? It is 4318 as a rule; 4317 is gRPC's, which weft "
    "does not speak";

// What to do about an answer, or the lack of one.
std::string remedy_for(const SendOutcome& outcome, Signal signal, const Url& url) {
    switch (outcome.status) {
    case 0:
        if (url.scheme == UrlScheme::https) {
            return "check the certificate, and that the collector speaks TLS on this port";
        }
        return fmt::format(
            "{}. A collector that wants TLS hangs up on http too: try https", not_otlp);
    case 400:
    case 405:
    case 406:
    case 415:
    case 501:
        return std::string(not_otlp);
    case 401:
    case 403:
    case 407:
        return "send credentials: --header 'authorization=Bearer ...', or "
               "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20...";
    case 404:
        return fmt::format(
            "nothing is at {}: give the base URL, to which /v1/{} is appended, and see that the "
            "collector has a pipeline for {}",
            url.target, name(signal), name(signal));
    case 413:
        return "the collector, or a proxy before it, takes no request of this size";
    case 429:
    case 503:
        return "the collector is there and has too much to do: try later, or give it more room";
    case 502:
    case 504:
        return "a proxy answers, but the collector behind it does not";
    default:
        break;
    }
    if (outcome.status >= 300 && outcome.status <= 399) {
        return "it sends elsewhere, which weft does not follow: give the address it names, perhaps "
               "with https";
    }
    return outcome.status >= 500 ? "see the collector's own log" : std::string(not_otlp);
}

class Doctor {
public:
    Doctor(Collector collector, std::chrono::milliseconds limit)
        : collector_(std::move(collector)), limit_(limit),
          log_(
              {.handler = [this](const Diagnostic& line) { said_.emplace_back(line.key); },
               .interval = 0ms}) {}

    int run() {
        std::exception_ptr thrown;
        asio::co_spawn(context_, examine(), [&](const std::exception_ptr& error) {
            thrown = error;
            context_.stop(); // A look-up may hang on.
        });
        context_.run_for(10 * limit_); // Each step has a limit of its own.
        if (thrown) { std::rethrow_exception(thrown); }
        const bool good = std::none_of(steps_.begin(), steps_.end(), [](const Step& step) {
            return step.state == Step::State::failed;
        });
        fmt::print("{}", collector_.json ? json(good) : text(good));
        if (look_up_hangs_) { // ~io_context would wait for it.
            std::fflush(stdout);
            _exit(good ? exit_done : exit_failed);
        }
        return good ? exit_done : exit_failed;
    }

private:
    asio::awaitable<void> examine() {
        settings();
        const auto traces = detail::signal_sink(collector_.otlp, Signal::traces);
        if (!traces.problem.empty()) {
            fail(
                "endpoint", 0, traces.problem,
                "give --endpoint http://HOST:PORT, or correct the setting that is named");
            co_return skip_from(0);
        }
        const auto first = first_hop(traces.options);
        const auto addresses = co_await resolve(first);
        if (addresses.empty()) { co_return skip_from(1); }
        if (!co_await connect(first, addresses)) { co_return skip_from(2); }
        for (const auto signal : {Signal::traces, Signal::metrics, Signal::logs}) {
            co_await send(signal);
        }
    }

    // Whom the exporter connects to.
    struct Hop {
        std::string host;
        std::uint16_t port = 0;
        bool is_proxy = false;
    };
    static Hop first_hop(const OtlpHttpOptions& options) {
        if (options.proxy) { return {options.proxy->host, options.proxy->port, true}; }
        return {options.url.host, options.url.port, false};
    }

    void settings() {
        if (collector_.problems.empty()) { return; }
        std::string all;
        for (const auto& problem : collector_.problems) {
            all += (all.empty() ? "" : "; ") + problem;
        }
        fail("settings", 0, all, "correct the variable; until then it counts as unset");
    }

    asio::awaitable<std::vector<tcp::endpoint>> resolve(Hop hop) {
        const auto begun = Clock::now();
        tcp::resolver resolver(context_);
        asio::steady_timer limit(context_, limit_);
        limit.async_wait([&](const boost::system::error_code& error) {
            if (error) { return; }
            look_up_hangs_ = true;
            resolver.cancel();
        });
        asio::steady_timer done(context_, Clock::time_point::max());
        boost::system::error_code failure;
        std::vector<tcp::endpoint> found;
        bool finished = false;
        // cancel() does not interrupt a look-up, it only forgets it.
        const auto state = std::make_shared<bool>(true);
        resolver.async_resolve(
            hop.host, std::to_string(hop.port),
            [&, weak = std::weak_ptr<bool>(state)](
                const boost::system::error_code& error,
                const tcp::resolver::results_type& results) {
                if (weak.expired()) { return; }
                failure = error;
                for (const auto& entry : results) { found.push_back(entry.endpoint()); }
                finished = true;
                done.cancel();
            });
        while (!finished && !look_up_hangs_) { // Bound: the limit.
            done.expires_after(50ms);
            co_await done.async_wait(use_tuple);
        }
        limit.cancel();
        if (look_up_hangs_) {
            fail(
                "resolve", ms_since(begun), fmt::format("no answer for {}", hop.host),
                "the name server does not answer: check /etc/resolv.conf and the network, or give "
                "an address");
            co_return std::vector<tcp::endpoint>();
        }
        if (failure || found.empty()) {
            fail(
                "resolve", ms_since(begun),
                fmt::format(
                    "{}{}: {}", hop.is_proxy ? "the proxy " : "", hop.host, failure.message()),
                hop.is_proxy
                    ? "correct HTTP_PROXY or HTTPS_PROXY, or name the collector in NO_PROXY"
                    : "correct the host name in the endpoint, or add it to the name server");
            co_return std::vector<tcp::endpoint>();
        }
        std::string list;
        for (const auto& endpoint : found) {
            list += (list.empty() ? "" : ", ") + endpoint.address().to_string();
        }
        pass(
            "resolve", ms_since(begun),
            fmt::format("{}{} is {}", hop.is_proxy ? "the proxy " : "", hop.host, list));
        co_return found;
    }

    asio::awaitable<bool> connect(Hop hop, std::vector<tcp::endpoint> addresses) {
        std::string failures;
        bool timed_out = false;
        for (const auto& address : addresses) {
            const auto begun = Clock::now();
            tcp::socket socket(context_);
            asio::steady_timer limit(context_, limit_);
            limit.async_wait([&](const boost::system::error_code& error) {
                if (error) { return; }
                timed_out = true;
                boost::system::error_code ignored;
                socket.close(ignored);
            });
            const auto [error] = co_await socket.async_connect(address, use_tuple);
            limit.cancel();
            const auto text =
                fmt::format("{} port {}", address.address().to_string(), address.port());
            if (!error) {
                pass("connect", ms_since(begun), text);
                co_return true;
            }
            failures += fmt::format(
                "{}{}: {}", failures.empty() ? "" : "; ", text,
                timed_out ? "no answer" : error.message());
            took_ = ms_since(begun);
        }
        fail(
            "connect", took_, failures,
            timed_out ? std::string("a firewall drops it, or the machine is off: check the address")
                      : fmt::format(
                            "nothing listens on port {}: start the {}, or correct the port",
                            hop.port, hop.is_proxy ? "proxy" : "collector"));
        co_return false;
    }

    asio::awaitable<void> send(Signal signal) {
        auto made = detail::signal_sink(collector_.otlp, signal);
        const std::string step(name(signal));
        if (!made.problem.empty()) {
            fail(step, 0, made.problem, "correct the setting");
            co_return;
        }
        made.options.timeout = limit_;
        made.options.retry.max_elapsed = 0ms; // The first answer is what is wanted.
        const Url url = made.options.url;
        auto sink = OtlpHttpSink::create(context_.get_executor(), std::move(made.options), log_);
        if (!sink) {
            fail(step, 0, sink.error().message(), "correct the endpoint");
            co_return;
        }
        said_.clear();
        const auto begun = Clock::now();
        const auto outcome = co_await (*sink)->send(make_sample(signal, 1, "doctor"));
        const auto took = ms_since(begun);
        co_await (*sink)->stop(Clock::now());
        if (signal == Signal::traces) { judge_way(outcome, url, took); }
        judge(step, outcome, signal, url, took);
    }

    // What the first answer says of everything before the signal itself.
    void judge_way(const SendOutcome& outcome, const Url& url, double took) {
        if (url.scheme == UrlScheme::https) {
            if (outcome.status == 0) {
                fail("tls", took, outcome.detail, remedy_for(outcome, Signal::traces, url));
            } else {
                pass("tls", took, "the collector's certificate is accepted");
            }
        }
        if (outcome.status == 0) { return; }
        const bool refused =
            outcome.status == 401 || outcome.status == 403 || outcome.status == 407;
        const auto headers = collector_.otlp.headers.size();
        const auto sent = headers == 0
                              ? std::string("no header of yours was sent")
                              : fmt::format(
                                    "{} header{} of yours {} sent", headers,
                                    headers == 1 ? "" : "s", headers == 1 ? "was" : "were");
        if (refused) {
            fail(
                "auth", took, fmt::format("http_{}; {}", outcome.status, sent),
                remedy_for(outcome, Signal::traces, url));
        } else {
            pass("auth", took, fmt::format("not refused; {}", sent));
        }
    }

    void judge(
        const std::string& step, const SendOutcome& outcome, Signal signal, const Url& url,
        double took) {
        const bool strange = std::any_of(said_.begin(), said_.end(), [](const std::string& key) {
            return key.ends_with(".strange_answer");
        });
        if (outcome.exported == 1 && !strange) {
            return pass(
                step, took,
                fmt::format(
                    "one {} accepted at {}{}",
                    signal == Signal::traces    ? "span"
                    : signal == Signal::metrics ? "metric point"
                                                : "log record",
                    url.text_for_messages(),
                    outcome.detail.empty() ? "" : ", with a warning: " + outcome.detail));
        }
        if (strange) {
            return fail(
                step, took,
                fmt::format(
                    "http_{}, but the answer is not OTLP{}", outcome.status,
                    outcome.detail.empty() ? "" : ": " + outcome.detail),
                std::string(not_otlp));
        }
        if (outcome.rejected == 1) {
            return fail(
                step, took, fmt::format("rejected by the collector: {}", outcome.detail),
                "the collector says why; its own log may say more");
        }
        fail(
            step, took, outcome.detail.empty() ? std::string(name(outcome.reason)) : outcome.detail,
            remedy_for(outcome, signal, url));
    }

    void pass(std::string step, double ms, std::string says) {
        steps_.push_back({std::move(step), Step::State::ok, ms, std::move(says), {}});
    }
    void fail(std::string step, double ms, std::string says, std::string remedy) {
        steps_.push_back(
            {std::move(step), Step::State::failed, ms, std::move(says), std::move(remedy)});
    }
    void skip_from(std::size_t first) {
        constexpr std::array<const char*, 6> all{"resolve", "connect", "auth",
                                                 "traces",  "metrics", "logs"};
        for (std::size_t i = first; i < all.size(); ++i) {
            steps_.push_back({all[i], Step::State::skipped, 0, {}, {}});
        }
    }

    [[nodiscard]] std::string text(bool good) const {
        auto out =
            fmt::format("weft doctor: {}\n", detail::printable_url(collector_.otlp.endpoint));
        for (const auto& step : steps_) {
            if (step.state == Step::State::skipped) {
                out += fmt::format("  {:<7}  {}\n", name_of(step.state), step.name);
                continue;
            }
            out += fmt::format(
                "  {:<7}  {:<8}  {:>8.1f} ms  {}\n", name_of(step.state), step.name, step.ms,
                printable(step.says, 1000));
            if (!step.remedy.empty()) {
                out += fmt::format("           to mend it: {}\n", step.remedy);
            }
        }
        return out + (good ? "all is well\n" : "something is wrong\n");
    }

    [[nodiscard]] std::string json(bool good) const {
        auto out = fmt::format(
            "{{\"endpoint\": {}, \"ok\": {}, \"steps\": [",
            json_text(detail::printable_url(collector_.otlp.endpoint)), good);
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            const auto& step = steps_[i];
            out += fmt::format(
                "{}{{\"step\": {}, \"state\": {}, \"ms\": {:.3f}, \"says\": {}, \"remedy\": {}}}",
                i == 0 ? "" : ", ", json_text(step.name), json_text(name_of(step.state)), step.ms,
                json_text(step.says), json_text(step.remedy));
        }
        return out + "]}\n";
    }

    const Collector collector_;
    const std::chrono::milliseconds limit_;
    std::vector<std::string> said_; // Keys of the sink's lines about the request under way.
    Diagnostics log_;
    asio::io_context context_{1};
    std::vector<Step> steps_;
    double took_ = 0;
    bool look_up_hangs_ = false;
};

} // namespace

int doctor(std::span<const char* const> arguments) {
    auto collector = Collector::from_environment();
    std::uint64_t seconds = 5;
    auto all = collector.options();
    all.push_back(
        {"--timeout", "SECONDS", "longest that one step may take (default 5)",
         [&](std::string_view text) { return take_number(seconds, text, 1, 600); },
         "a number from 1 to 600"});
    const auto status = parse(
        {.command = "doctor",
         .summary =
             "Finds out why telemetry does not arrive: looks the collector up, connects, and sends "
             "it one span, one\n"
             "metric point and one log record of service \"weft-doctor\". Says for each step "
             "whether "
             "it works, how\n"
             "long it took, what is wrong and how to mend it. Exit status 0: all is well, 1: it is "
             "not. Reads the\n"
             "OTEL_EXPORTER_OTLP_* variables as a program does.",
         .options = all},
        arguments);
    if (status) { return *status; }
    return Doctor(std::move(collector), std::chrono::seconds(seconds)).run();
}

} // namespace weft::cli
