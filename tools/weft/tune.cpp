// weft tune: measures a collector with the sink that programs use, and proposes settings. Stages, each on what the one
// before has chosen: round trip, compression, spans in a request, requests in flight. One thread, a bounded time.
#include "collector.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "signal_sink.hpp"

#include <weft/exporters/batch_options.hpp>
#include <weft/exporters/compression.hpp>
#include <weft/exporters/otlp_http.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weft::cli {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using BatchPtr = std::shared_ptr<const Batch>;

constexpr std::size_t usual_spans = 512; // The specification's, and where the search begins.
constexpr std::array<std::size_t, 6> span_counts{128, 512, 1024, 2048, 4096, 8192};
constexpr std::array<std::size_t, 4> in_flight_counts{1, 2, 4, 8};
constexpr std::array<Compression, 3> compressions{
    Compression::none, Compression::gzip, Compression::zstd};
constexpr std::size_t cells =
    1 + compressions.size() + span_counts.size() + in_flight_counts.size();
// Less than this is not worth a larger request or another connection.
constexpr double worth_it = 1.2;

/// One way to send, and what came of it.
struct Cell {
    std::size_t spans = usual_spans;
    Compression compression = Compression::none;
    std::size_t in_flight = 1;
    // Measured:
    std::uint64_t sent = 0; // Spans.
    double seconds = 0;
    std::vector<double> ms{}; // Of each request.
    std::size_t body_bytes = 0;
    std::size_t wire_bytes = 0; // Of the body as sent.
    double compression_us = 0;  // Of the body.
    bool refused = false;       // The compression.
    std::string problem{};      // Empty: none.

    [[nodiscard]] double per_second() const {
        return seconds > 0 ? static_cast<double>(sent) / seconds : 0;
    }
    [[nodiscard]] double quantile_ms(double share) const {
        if (ms.empty()) { return 0; }
        auto sorted = ms;
        std::sort(sorted.begin(), sorted.end());
        const auto last = static_cast<double>(sorted.size() - 1);
        return sorted[static_cast<std::size_t>(share * last + 0.5)];
    }
    [[nodiscard]] double per_span(double what) const { return what / static_cast<double>(spans); }
};

struct Proposal {
    std::size_t records_max = BatchOptions{}.records_max;
    std::size_t queue_bytes = BatchOptions{}.queue_bytes;
    Compression compression = Compression::none;
    std::size_t connections = OtlpOptions{}.connections;
    std::chrono::milliseconds timeout = OtlpOptions{}.timeout;
};

class Tuner {
public:
    Tuner(Collector collector, std::chrono::milliseconds time)
        : collector_(std::move(collector)), cell_time_(time / cells) {}

    int run() {
        const auto sink = detail::signal_sink(collector_.otlp, Signal::traces);
        if (!sink.problem.empty()) { return give_up(sink.problem); }
        where_ = sink.options.url.text_for_messages();
        std::exception_ptr thrown;
        asio::co_spawn(
            context_, measure(), [&](const std::exception_ptr& error) { thrown = error; });
        context_.run();
        if (thrown) { std::rethrow_exception(thrown); }
        if (!problem_.empty()) { return give_up(problem_); }
        const auto proposal = propose();
        fmt::print("{}", collector_.json ? json(proposal) : text(proposal));
        return exit_done;
    }

private:
    static int give_up(std::string_view problem) {
        fmt::print(
            stderr, "weft tune: {}; 'weft doctor' with the same options says more\n",
            printable(problem, 1000));
        return exit_failed;
    }

    asio::awaitable<void> measure() {
        Cell next; // GCC 12 takes no braced list inside of co_await.
        next.spans = 1;
        round_trip_ = co_await run_cell(next);
        next.spans = usual_spans;
        if (!problem_.empty()) { co_return; }
        for (const auto compression : compressions) {
            next.compression = compression;
            by_compression_.push_back(co_await run_cell(next));
            if (!problem_.empty()) { co_return; }
        }
        next.compression = best_compression();
        for (const auto spans : span_counts) {
            next.spans = spans;
            by_spans_.push_back(co_await run_cell(next));
            if (!by_spans_.back().problem.empty() && spans <= usual_spans) { co_return; }
            problem_.clear(); // A request too large for the collector is a measurement too.
            if (!by_spans_.back().problem.empty()) { break; }
        }
        next.spans = least_that_is_fast(by_spans_).spans;
        for (const auto in_flight : in_flight_counts) {
            next.in_flight = in_flight;
            by_in_flight_.push_back(co_await run_cell(next));
            if (!by_in_flight_.back().problem.empty() && in_flight == 1) { co_return; }
            problem_.clear();
            if (!by_in_flight_.back().problem.empty()) { break; }
        }
    }

    // Sends one body over and over for the time of a cell.
    asio::awaitable<Cell> run_cell(Cell cell) {
        auto options = detail::signal_sink(collector_.otlp, Signal::traces).options;
        options.compression = cell.compression;
        options.compression_level.reset();
        options.connections = cell.in_flight;
        options.retry.max_elapsed = 0ms;
        Diagnostics log(
            {.handler =
                 [&cell](const Diagnostic& line) {
                     cell.refused = cell.refused || line.key.ends_with(".zstd_refused");
                 },
             .interval = 0ms});
        auto sink = OtlpHttpSink::create(context_.get_executor(), std::move(options), log);
        if (!sink) {
            cell.problem = problem_ = sink.error().message();
            co_return cell;
        }
        const auto batch = make_sample(Signal::traces, cell.spans, "tune");
        weigh(cell, *batch);
        co_await send_one(**sink, batch, cell); // Connects.
        cell.sent = 0;
        cell.ms.clear();
        const auto begun = Clock::now();
        std::size_t running = cell.in_flight;
        asio::steady_timer done(context_, Clock::time_point::max());
        for (std::size_t i = 0; i < cell.in_flight; ++i) {
            asio::co_spawn(
                context_, send_until(**sink, batch, cell, begun + cell_time_),
                [&](const std::exception_ptr& error) {
                    if (error) { cell.problem = "no memory"; }
                    if (--running == 0) { done.cancel(); }
                });
        }
        co_await done.async_wait(asio::as_tuple(asio::use_awaitable));
        cell.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
        co_await (*sink)->stop(Clock::now());
        problem_ = cell.problem;
        co_return cell;
    }

    // Lifetime: all of it is run_cell's, which waits; here and below.
    static asio::awaitable<void> send_until(
        OtlpHttpSink& sink, BatchPtr batch, Cell& cell, Clock::time_point end) {
        while (Clock::now() < end && cell.problem.empty()) { // Bound: the cell's time.
            co_await send_one(sink, batch, cell);
        }
    }

    static asio::awaitable<void> send_one(OtlpHttpSink& sink, BatchPtr batch, Cell& cell) {
        if (!cell.problem.empty()) { co_return; }
        const auto begun = Clock::now();
        const auto outcome = co_await sink.send(batch);
        if (outcome.exported != batch->records) {
            cell.problem = fmt::format(
                "a request with {} spans failed: {}", batch->records,
                outcome.detail.empty() ? std::string(name(outcome.reason)) : outcome.detail);
            co_return;
        }
        cell.sent += batch->records;
        cell.ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begun).count());
    }

    // What a body weighs on the wire, and what it costs to make it so.
    static void weigh(Cell& cell, const Batch& batch) {
        cell.body_bytes = cell.wire_bytes = batch.body.size();
        if (cell.compression == Compression::none) { return; }
        Compressor compressor(cell.compression, default_level(cell.compression));
        auto best = Clock::duration::max();
        for (int i = 0; i < 5; ++i) {
            const auto begun = Clock::now();
            const auto compressed = compressor.compress(batch.body);
            best = std::min(best, Clock::now() - begun);
            if (compressed) { cell.wire_bytes = compressed->size(); }
        }
        cell.compression_us = std::chrono::duration<double, std::micro>(best).count();
    }

    // The fastest; among those about as fast, the one that costs the network least.
    [[nodiscard]] Compression best_compression() const {
        double most = 0;
        for (const auto& cell : by_compression_) { most = std::max(most, cell.per_second()); }
        const Cell* best = nullptr;
        for (const auto& cell : by_compression_) {
            if (cell.refused || cell.per_second() * worth_it < most) { continue; }
            if (best == nullptr || cell.wire_bytes < best->wire_bytes) { best = &cell; }
        }
        return best != nullptr ? best->compression : Compression::none;
    }

    // The first of a growing series that the fastest does not beat by much. No fewer spans than usual, if these work:
    // small requests gain nothing but by chance, and cost the collector.
    [[nodiscard]] static const Cell& least_that_is_fast(const std::vector<Cell>& series) {
        const bool usual_works = std::any_of(series.begin(), series.end(), [](const Cell& cell) {
            return cell.spans >= usual_spans && cell.problem.empty();
        });
        const auto counts = [&](const Cell& cell) {
            return cell.problem.empty() && (!usual_works || cell.spans >= usual_spans);
        };
        double most = 0;
        for (const auto& cell : series) {
            if (counts(cell)) { most = std::max(most, cell.per_second()); }
        }
        for (const auto& cell : series) {
            if (counts(cell) && cell.per_second() * worth_it >= most) { return cell; }
        }
        return series.front();
    }

    [[nodiscard]] Proposal propose() const {
        const auto& best = least_that_is_fast(by_in_flight_);
        Proposal proposal;
        proposal.records_max = best.spans;
        proposal.compression = best.compression;
        proposal.connections = best.in_flight;
        // Room for what the collector takes during two of its slowest answers, and for four batches.
        const double bytes = best.per_span(static_cast<double>(best.body_bytes));
        const double in_two_answers = best.per_second() * bytes * 2 * best.quantile_ms(0.99) / 1000;
        const double wanted = std::max(in_two_answers, 4 * static_cast<double>(best.body_bytes));
        proposal.queue_bytes = std::clamp(
            std::bit_ceil(static_cast<std::size_t>(wanted)), BatchOptions{}.queue_bytes,
            std::size_t{256} << 20);
        // An answer twenty times as slow as the slowest seen is not coming.
        const auto slow =
            std::chrono::milliseconds(static_cast<std::int64_t>(20 * best.quantile_ms(1.0)) + 1);
        proposal.timeout = std::clamp<std::chrono::milliseconds>(slow, proposal.timeout, 120s);
        return proposal;
    }

    [[nodiscard]] static std::string row(const Cell& cell, std::string_view label) {
        if (!cell.problem.empty()) {
            return fmt::format("    {:<12}  {}\n", label, printable(cell.problem, 300));
        }
        return fmt::format(
            "    {:<12}  {:>10.0f} spans/s  {:>8.2f} ms median  {:>8.2f} ms p99  {:>6.1f} bytes a "
            "span  {:>5.2f} us to compress one{}\n",
            label, cell.per_second(), cell.quantile_ms(0.5), cell.quantile_ms(0.99),
            cell.per_span(static_cast<double>(cell.wire_bytes)), cell.per_span(cell.compression_us),
            cell.refused ? "  (refused, sent as gzip)" : "");
    }

    [[nodiscard]] std::string text(const Proposal& proposal) const {
        auto out = fmt::format("weft tune: {}\n", where_);
        out += fmt::format(
            "  round trip with one span: {:.2f} ms median, {:.2f} ms p99, of {} requests\n",
            round_trip_.quantile_ms(0.5), round_trip_.quantile_ms(0.99), round_trip_.ms.size());
        out += fmt::format("  compression, {} spans in a request, one in flight:\n", usual_spans);
        for (const auto& cell : by_compression_) { out += row(cell, name(cell.compression)); }
        out += fmt::format(
            "  spans in a request, {}, one in flight:\n", name(by_spans_.front().compression));
        for (const auto& cell : by_spans_) { out += row(cell, std::to_string(cell.spans)); }
        out += fmt::format(
            "  requests in flight, {} spans each, {}:\n", by_in_flight_.front().spans,
            name(by_in_flight_.front().compression));
        for (const auto& cell : by_in_flight_) { out += row(cell, std::to_string(cell.in_flight)); }
        out += fmt::format(
            "proposed, in weft::Options:\n"
            "  batch.records_max = {}\n  batch.queue_bytes = {}\n  otlp.compression = {}\n"
            "  otlp.connections = {}\n  otlp.timeout = {} ms\n"
            "or in the environment (connections: in code alone):\n",
            proposal.records_max, proposal.queue_bytes, name(proposal.compression),
            proposal.connections, proposal.timeout.count());
        for (const auto& [variable, value] : variables(proposal)) {
            out += fmt::format("  {}={}\n", variable, value);
        }
        return out +
               "These are what this collector takes from this machine; a program with less to "
               "send needs no more than the defaults.\n";
    }

    [[nodiscard]] static std::vector<std::pair<std::string, std::string>> variables(
        const Proposal& proposal) {
        return {
            {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", std::to_string(proposal.records_max)},
            {"OTEL_BSP_MAX_QUEUE_SIZE", std::to_string(proposal.queue_bytes >> 10)},
            {"OTEL_EXPORTER_OTLP_COMPRESSION", std::string(name(proposal.compression))},
            {"OTEL_EXPORTER_OTLP_TIMEOUT", std::to_string(proposal.timeout.count())}};
    }

    [[nodiscard]] static std::string json(const Cell& cell) {
        return fmt::format(
            "{{\"spans\": {}, \"compression\": \"{}\", \"in_flight\": {}, \"spans_per_second\": "
            "{:.1f}, \"median_ms\": {:.3f}, \"p99_ms\": {:.3f}, \"body_bytes\": {}, "
            "\"wire_bytes\": "
            "{}, \"compression_us\": {:.1f}, \"refused\": {}, \"problem\": {}}}",
            cell.spans, name(cell.compression), cell.in_flight, cell.per_second(),
            cell.quantile_ms(0.5), cell.quantile_ms(0.99), cell.body_bytes, cell.wire_bytes,
            cell.compression_us, cell.refused, json_text(cell.problem));
    }
    [[nodiscard]] static std::string json(const std::vector<Cell>& cells_of_stage) {
        std::string out;
        for (const auto& cell : cells_of_stage) { out += (out.empty() ? "" : ", ") + json(cell); }
        return '[' + out + ']';
    }
    [[nodiscard]] std::string json(const Proposal& proposal) const {
        std::string environment;
        for (const auto& [variable, value] : variables(proposal)) {
            environment +=
                fmt::format("{}\"{}\": \"{}\"", environment.empty() ? "" : ", ", variable, value);
        }
        return fmt::format(
            "{{\"endpoint\": {}, \"round_trip\": {}, \"by_compression\": {}, \"by_spans\": {}, "
            "\"by_in_flight\": {}, \"proposed\": {{\"records_max\": {}, \"queue_bytes\": {}, "
            "\"compression\": \"{}\", \"connections\": {}, \"timeout_ms\": {}}}, \"environment\": "
            "{{{}}}}}\n",
            json_text(where_), json(round_trip_), json(by_compression_), json(by_spans_),
            json(by_in_flight_), proposal.records_max, proposal.queue_bytes,
            name(proposal.compression), proposal.connections, proposal.timeout.count(),
            environment);
    }

    const Collector collector_;
    const std::chrono::milliseconds cell_time_;
    asio::io_context context_{1};
    std::string where_;
    std::string problem_; // Of the last cell.
    Cell round_trip_;
    std::vector<Cell> by_compression_;
    std::vector<Cell> by_spans_;
    std::vector<Cell> by_in_flight_;
};

} // namespace

int tune(std::span<const char* const> arguments) {
    auto collector = Collector::from_environment();
    std::uint64_t seconds = 20;
    auto all = collector.options();
    all.push_back(
        {"--seconds", "N", "how long to measure in all (default 20)",
         [&](std::string_view text) { return take_number(seconds, text, 1, 600); },
         "a number from 1 to 600"});
    const auto status = parse(
        {.command = "tune",
         .summary =
             "Measures a collector: round trip, and throughput by compression, spans in a request "
             "and requests in\n"
             "flight. Proposes settings, with the measurements behind them. It sends real spans, "
             "of "
             "service\n"
             "\"weft-tune\", as fast as they are taken: not to a collector that others depend on.",
         .options = all},
        arguments);
    if (status) { return *status; }
    for (const auto& problem : collector.problems) {
        fmt::print(stderr, "weft tune: {}\n", problem);
    }
    return Tuner(std::move(collector), std::chrono::seconds(seconds)).run();
}

} // namespace weft::cli
