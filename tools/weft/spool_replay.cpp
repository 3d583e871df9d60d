// weft spool replay: sends what waits in a spool, oldest first, one batch at a time. A batch is acknowledged once the
// receiver has it; where sending stops, the rest stays for the next one.
#include "collector.hpp"
#include "commands.hpp"
#include "environment.hpp"
#include "options.hpp"
#include "spool.hpp"

#include <weft/exporters/ledger.hpp>
#include <weft/exporters/otlp_http.hpp>
#include <weft/exporters/spool.hpp>
#include <weft/exporters/spool_inspection.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>
#include <strings.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weft::cli {
namespace {

struct ReplayOptions {
    std::string directory;
    std::string to;
    std::vector<HeaderField> headers;
    std::string bad_header; // What is wrong with one of them.
    std::uint64_t give_up_seconds = 300;
    bool skip_refused = false;
};

class ReplayProgram {
public:
    explicit ReplayProgram(ReplayOptions options)
        : options_(std::move(options)), signals_(context_, SIGINT, SIGTERM) {}

    int run() {
        // Before anything is touched: a wrong URL is a mistake of every batch.
        for (const Signal signal : all_signals) {
            if (!make_sink(signal)) { return exit_usage; }
        }
        const auto directories = find_spools(options_.directory);
        if (directories.empty()) { return no_spool("replay", options_.directory); }
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (!error) { stop(); }
        });
        asio::co_spawn(context_, replay_all(directories), [this](const std::exception_ptr& error) {
            if (error) { failure_ = "an exception inside the program"; }
            signals_.cancel();
            for (auto& [signal, sink] : sinks_) {
                sink->request_stop(std::chrono::steady_clock::now());
            }
        });
        context_.run();
        return finish();
    }

private:
    bool make_sink(Signal signal) {
        const auto url = otlp_endpoint(options_.to, signal);
        if (!url) {
            fmt::print(
                stderr, "weft spool replay: --to is '{}': {}\n", detail::printable_url(options_.to),
                url.error().message());
            return false;
        }
        auto http = sink_to(options_.to, signal);
        http.headers.insert(http.headers.end(), options_.headers.begin(), options_.headers.end());
        http.retry.max_elapsed = std::chrono::seconds(options_.give_up_seconds);
        http.connections = 1;
        http.unsent = Unsent::kept; // It is acknowledged only when it has been taken.
        auto sink = OtlpHttpSink::create(context_.get_executor(), http);
        if (!sink) {
            fmt::print(
                stderr, "weft spool replay: cannot send to {}: {}\n", url->text_for_messages(),
                sink.error().message());
            return false;
        }
        sinks_[signal] = std::move(*sink);
        return true;
    }

    void stop() {
        is_stopping_ = true;
        for (auto& [signal, sink] : sinks_) {
            sink->request_stop(std::chrono::steady_clock::now());
        }
    }

    asio::awaitable<void> replay_all(std::vector<std::string> directories) {
        for (const auto& directory : directories) {
            if (is_stopping_ || !failure_.empty()) { break; }
            SpoolOptions options;
            options.directory = directory;
            options.memory_bytes_max = 0;
            auto spool = Spool::open(options); // Says on stderr what is wrong.
            if (!spool) {
                ++unopened_;
                continue;
            }
            co_await replay(**spool);
            account_for(**spool);
        }
    }

    // In order, and no further than the first that was not taken: else a restart would send those behind it again.
    asio::awaitable<void> replay(Spool& spool) {
        while (!is_stopping_) { // Bound: what waits in the spool.
            const auto entry = spool.next();
            if (!entry) { break; }
            const SendOutcome outcome = co_await sinks_[entry->batch->signal]->send(entry->batch);
            const bool is_refused =
                outcome.dropped != 0 && outcome.reason == DropReason::rejected_by_status;
            if (outcome.dropped != 0 && !(is_refused && options_.skip_refused)) {
                if (is_stopping_) { break; }
                failure_ = fmt::format(
                    "the receiver did not take a batch of {}: {}{}", name(entry->batch->signal),
                    printable(outcome.detail, 300),
                    is_refused ? "; --skip-refused gives such batches up" : "");
                break;
            }
            spool.acknowledge(entry->id);
            spool.sync_if_due();
            ++batches_;
            ledger_.exported += outcome.exported;
            ledger_.rejected += outcome.rejected;
            ledger_.dropped[static_cast<std::size_t>(outcome.reason)] += outcome.dropped;
        }
        spool.put_back_all();
    }

    void account_for(const Spool& spool) {
        const auto counts = spool.counts();
        ledger_.created += counts.resumed.records - counts.lost.records;
        ledger_.spooled += counts.waiting.records;
        lost_ += counts.lost.records;
        left_ += counts.waiting.batches;
    }

    int finish() {
        fmt::print(
            "sent {} batches: {} records accepted, {} rejected, {} given up, {} lost to "
            "corruption; "
            "{} batches of {} records are left\n",
            batches_, ledger_.exported, ledger_.rejected, ledger_.dropped_total(), lost_, left_,
            ledger_.spooled);
        if (unopened_ != 0) { // What is left in those is not known.
            fmt::print("not counting spools that could not be opened: {}\n", unopened_);
        }
        const char* wanted = std::getenv("WEFT_LEDGER");
        if (wanted != nullptr && strcasecmp(wanted, "json") == 0) {
            fmt::print(stderr, "{}\n", ledger_.to_json());
        }
        if (!failure_.empty()) { fmt::print(stderr, "weft spool replay: {}\n", failure_); }
        return failure_.empty() && unopened_ == 0 ? exit_done : exit_failed;
    }

    ReplayOptions options_;
    asio::io_context context_{1};
    asio::signal_set signals_;
    std::map<Signal, std::unique_ptr<OtlpHttpSink>> sinks_;
    Ledger ledger_;
    std::uint64_t batches_ = 0;
    std::uint64_t lost_ = 0;
    std::uint64_t left_ = 0;
    std::string failure_;
    std::uint64_t unopened_ = 0; // What is wrong has been said.
    bool is_stopping_ = false;
};

// A mistake is told without the value, which may be a secret.
void take_header(std::string_view text, ReplayOptions& options) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) {
        options.bad_header = "a header's name, '=' and its value are needed";
        return;
    }
    HeaderField field{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
    if (auto problem = problem_in(field); !problem.empty()) { options.bad_header = problem; }
    options.headers.push_back(std::move(field));
}

} // namespace

int replay_spool(std::span<const char* const> arguments) {
    ReplayOptions options;
    const std::array<Option, 4> all{{
        {"--to", "URL", "the receiver's base URL; v1/traces and so on are appended",
         [&](std::string_view text) {
             options.to = text;
             return !text.empty();
         },
         "a URL such as http://localhost:4318"},
        {"--header", "NAME=VALUE", "sent with each request; may be given several times",
         [&](std::string_view text) {
             take_header(text, options);
             return true;
         },
         "a header's name, '=' and its value"},
        {"--give-up-after", "S", "seconds to try each batch; 0: once (default 300)",
         [&](std::string_view text) {
             return take_number(options.give_up_seconds, text, 0, 604800);
         },
         "a number from 0 to 604800"},
        {"--skip-refused", "", "give up batches that the receiver refuses for good, and go on",
         [&](std::string_view) { return options.skip_refused = true; }},
    }};
    const Usage usage{
        .command = "spool replay DIR --to URL",
        .summary =
            "Sends what waits in a spool, or in all spools below a directory, in order. What the "
            "receiver has\n"
            "taken is removed from the spool; at the first batch that it does not take, and on "
            "SIGINT "
            "and SIGTERM,\n"
            "the rest stays where it is. No program may own the spool. WEFT_LEDGER=json in the "
            "environment prints\n"
            "the counts on stderr at the end.",
        .options = all};
    if (const auto status = parse_with_directory(usage, arguments, options.directory)) {
        return *status;
    }
    if (options.to.empty()) {
        fmt::print(
            stderr, "weft spool replay: no receiver given; --to takes its URL, such as "
                    "http://localhost:4318\n");
        return exit_usage;
    }
    if (!options.bad_header.empty()) {
        fmt::print(stderr, "weft spool replay: --header: {}\n", options.bad_header);
        return exit_usage;
    }
    return ReplayProgram(std::move(options)).run();
}

} // namespace weft::cli
