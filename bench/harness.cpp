#include "harness.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <initializer_list>
#include <iomanip>
#include <iostream>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace weft::bench {

namespace {

constexpr double seconds_min_default = 0.1;
constexpr std::string_view time_counter = "seconds_per_op";
constexpr std::string_view allocation_counter = "allocations_per_op";

using Clock = std::chrono::steady_clock;

// Collects what Google Benchmark ran; nothing is printed until all of it is known.
class Collector final : public benchmark::BenchmarkReporter {
public:
    explicit Collector(std::unordered_map<std::string, Suite::Row*> rows)
        : rows_(std::move(rows)) {}

    bool ReportContext(const Context&) override { return true; }

    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.run_type != Run::RT_Iteration) { continue; }
            const auto row = rows_.find(run.run_name.function_name);
            if (row == rows_.end()) { continue; }
            const auto time = run.counters.find(std::string(time_counter));
            const auto allocated = run.counters.find(std::string(allocation_counter));
            if (time == run.counters.end() || allocated == run.counters.end()) { continue; }
            row->second->samples.push_back(time->second.value);
            allocations_[row->second].push_back(allocated->second.value);
        }
    }

    void Finalize() override {
        for (auto& [row, samples] : allocations_) { row->allocations_per_op = median(samples); }
    }

    static double median(std::vector<double> samples) {
        std::sort(samples.begin(), samples.end());
        const std::size_t middle = samples.size() / 2;
        return samples.size() % 2 == 1 ? samples[middle]
                                       : (samples[middle - 1] + samples[middle]) / 2;
    }

private:
    std::unordered_map<std::string, Suite::Row*> rows_;
    std::unordered_map<Suite::Row*, std::vector<double>> allocations_;
};

// Keeps a measured thread on a processor of its own while it lives. Seen on a machine with two: the
// kernel left both threads of a case on one processor for the first 100 ms, which doubled the
// figure. One thread is left to the kernel.
class OwnProcessor {
public:
    OwnProcessor(int thread, int threads) noexcept {
        if (threads < 2 || sched_getaffinity(0, sizeof allowed_, &allowed_) != 0) { return; }
        if (CPU_COUNT(&allowed_) < threads) { return; }
        int skip = thread;
        for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &allowed_) == 0 || skip-- > 0) { continue; }
            cpu_set_t own;
            CPU_ZERO(&own);
            CPU_SET(cpu, &own);
            pinned_ = sched_setaffinity(0, sizeof own, &own) == 0;
            return;
        }
    }
    OwnProcessor(const OwnProcessor&) = delete;
    OwnProcessor& operator=(const OwnProcessor&) = delete;
    ~OwnProcessor() {
        if (pinned_) { sched_setaffinity(0, sizeof allowed_, &allowed_); }
    }

private:
    cpu_set_t allowed_{};
    bool pinned_ = false;
};

std::optional<double> unit_per_second(std::string_view unit) {
    if (unit == "ns") { return 1e9; }
    if (unit == "us") { return 1e6; }
    if (unit == "ms") { return 1e3; }
    return std::nullopt;
}

std::string number(double value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6);
    return {text, end.ptr};
}

// Four digits or so, whatever the size.
std::string cell(double value) {
    char text[32];
    const int decimals = value < 1 ? 4 : value < 100 ? 2 : 1;
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
}

void print_table(std::ostream& out, const std::vector<const Suite::Row*>& rows) {
    std::size_t width = 4;
    for (const Suite::Row* row : rows) { width = std::max(width, row->name.size()); }
    const auto line = [&](const std::string& library, const std::string& name,
                          std::initializer_list<std::string> cells) {
        out << std::left << std::setw(18) << library << std::setw(static_cast<int>(width)) << name
            << std::right;
        for (const std::string& text : cells) { out << std::setw(12) << text; }
        out << '\n';
    };
    line("library", "case", {"unit", "median", "min", "max", "allocs/op"});
    for (const Suite::Row* row : rows) {
        if (!row->failure.empty()) {
            line(row->library, row->name, {"FAILED: " + row->failure});
            continue;
        }
        const auto [low, high] = std::minmax_element(row->samples.begin(), row->samples.end());
        line(
            row->library, row->name,
            {row->unit, cell(Collector::median(row->samples)), cell(*low), cell(*high),
             unit_per_second(row->unit) ? cell(row->allocations_per_op) : "-"});
    }
}

// Names and units are written in this project's sources: no character of them needs an escape.
void write_json(std::ostream& out, const std::vector<const Suite::Row*>& rows) {
    const char* separator = "[\n";
    for (const Suite::Row* row : rows) {
        if (!row->failure.empty()) { continue; }
        const auto [low, high] = std::minmax_element(row->samples.begin(), row->samples.end());
        out << separator << " {\"library\": \"" << row->library << "\", \"case\": \"" << row->name
            << "\", \"unit\": \"" << row->unit
            << "\", \"median\": " << number(Collector::median(row->samples))
            << ", \"min\": " << number(*low) << ", \"max\": " << number(*high)
            << ", \"repetitions\": " << row->samples.size()
            << ", \"allocations_per_op\": " << number(row->allocations_per_op)
            << ", \"samples\": [";
        for (std::size_t i = 0; i < row->samples.size(); ++i) {
            out << (i == 0 ? "" : ", ") << number(row->samples[i]);
        }
        out << "]}";
        separator = ",\n";
    }
    out << (*separator == '[' ? "[]\n" : "\n]\n");
}

constexpr std::string_view usage = R"( [options]
  --only REGEX       only cases whose name, or library/name, has a match
  --repetitions N    measurements of each case, interleaved; 1 to 1000 (default 7)
  --min-time S       shortest timed stretch of one measurement in seconds (default 0.1)
  --json FILE        also write the figures as a JSON array
  --list             print the cases and stop
  --benchmark_...    passed on to Google Benchmark
)";

} // namespace

struct Suite::Arguments {
    std::regex only{""};
    std::string only_text;
    int repetitions = 7;
    double seconds_min = seconds_min_default;
    std::string json;
    bool list = false;
    bool help = false;
    std::vector<std::string> passed_on;
    std::string error; // Empty, or the one line that says what is wrong.

    static Arguments parse(int argc, char** argv) {
        Arguments result;
        for (int i = 1; i < argc && result.error.empty(); ++i) {
            const std::string name = argv[i];
            if (name == "--help" || name == "-h") {
                result.help = true;
            } else if (name == "--list") {
                result.list = true;
            } else if (name.starts_with("--benchmark_")) {
                result.passed_on.push_back(name);
            } else if (i + 1 == argc) {
                result.error =
                    "unknown option, or one without its value: '" + name + "'; see --help";
            } else {
                result.take(name, argv[++i]);
            }
        }
        return result;
    }

private:
    void take(const std::string& name, const std::string& value) {
        const char* const end = value.data() + value.size();
        if (name == "--only") {
            try {
                only = std::regex(value);
                only_text = value;
            } catch (const std::regex_error& bad) {
                error = "--only '" + value + "' is not a regular expression: " + bad.what();
            }
        } else if (name == "--json") {
            json = value;
        } else if (name == "--repetitions") {
            const auto read = std::from_chars(value.data(), end, repetitions);
            if (read.ec != std::errc() || read.ptr != end || repetitions < 1 ||
                repetitions > 1000) {
                error = "--repetitions takes 1 to 1000, not '" + value + "'";
            }
        } else if (name == "--min-time") {
            const auto read = std::from_chars(value.data(), end, seconds_min);
            if (read.ec != std::errc() || read.ptr != end ||
                !(seconds_min > 0 && seconds_min <= 60)) {
                error = "--min-time takes more than 0 and at most 60 seconds, not '" + value + "'";
            }
        } else {
            error = "unknown option '" + name + "'; see --help";
        }
    }
};

Suite::Suite(std::string library) : library_(std::move(library)) {}

void Suite::add(std::string name, std::string unit, Body body, CaseOptions options) {
    const std::optional<double> scale = unit_per_second(unit);
    if (!scale) {
        throw std::invalid_argument(name + ": a time has unit ns, us or ms, not " + unit);
    }
    if (options.threads < 1 || (options.threads > 1 && options.batch != 0)) {
        throw std::invalid_argument(name + ": batches are for one thread");
    }
    Case& item = append(std::move(name), std::move(unit), std::move(options));
    item.body = std::move(body);
    item.unit_per_second = *scale;
}

void Suite::add_value(std::string name, std::string unit, Value value, CaseOptions options) {
    append(std::move(name), std::move(unit), std::move(options)).value = std::move(value);
}

Suite::Case& Suite::append(std::string name, std::string unit, CaseOptions options) {
    const std::string& library = options.library.empty() ? library_ : options.library;
    Row row{.library = library, .name = std::move(name), .unit = std::move(unit)};
    return cases_.emplace_back(Case{.row = std::move(row), .options = std::move(options)});
}

void Suite::note(std::string line) { notes_.push_back(std::move(line)); }

// Runs on each of the case's threads, once per calibration step and once per repetition.
void Suite::measure(Case& item, benchmark::State& state) const {
    const bool first_thread = state.thread_index() == 0;
    const bool single = item.options.threads == 1;
    const OwnProcessor own_processor(state.thread_index(), item.options.threads);
    const auto whole = static_cast<std::uint64_t>(state.max_iterations);
    const std::uint64_t batch = item.options.batch == 0 ? whole : item.options.batch;
    const auto call = [&](const std::function<void()>& hook) {
        if (first_thread && hook) { hook(); }
    };
    double figure = 0;
    std::uint64_t operations = 0;
    std::uint64_t allocated = 0;
    if (!single) { call(item.options.before); } // All threads meet at the first KeepRunningBatch.
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch))) {
        if (single) { call(item.options.before); }
        const std::uint64_t allocated_before = allocations_of_this_thread();
        const auto start = Clock::now();
        if (item.body) {
            item.body(batch);
        } else {
            figure += item.value();
        }
        const std::chrono::duration<double> elapsed = Clock::now() - start;
        if (item.body) { allocated += allocations_of_this_thread() - allocated_before; }
        operations += batch;
        if (item.body) { figure += elapsed.count(); }
        state.SetIterationTime(elapsed.count());
        if (single) { call(item.options.after); }
    }
    if (!single) { call(item.options.after); } // They met again when the loop ended.
    const auto per_op = 1.0 / static_cast<double>(std::max<std::uint64_t>(operations, 1));
    // Averaged over the threads, so the figure is what one thread waits.
    const auto mean = benchmark::Counter::kAvgThreads;
    state.counters[std::string(time_counter)] = {figure * per_op * item.unit_per_second, mean};
    state.counters[std::string(allocation_counter)] = {
        static_cast<double>(allocated) * per_op, mean};
}

bool Suite::execute(const std::vector<Case*>& chosen, const Arguments& arguments) {
    std::string program = "bench";
    std::string interleave = "--benchmark_enable_random_interleaving=true";
    std::vector<std::string> texts = arguments.passed_on;
    std::vector<char*> argv{program.data(), interleave.data()};
    for (std::string& text : texts) { argv.push_back(text.data()); }
    auto argc = static_cast<int>(argv.size());
    argv.push_back(nullptr);
    benchmark::Initialize(&argc, argv.data());
    if (benchmark::ReportUnrecognizedArguments(argc, argv.data())) { return false; }

    std::unordered_map<std::string, Row*> rows;
    for (Case* item : chosen) {
        const std::string id = item->row.library + "/" + item->row.name;
        rows[id] = &item->row;
        auto* registered =
            benchmark::RegisterBenchmark(id.c_str(), [this, item](benchmark::State& state) {
                try {
                    measure(*item, state);
                } catch (const std::exception& failure) {
                    if (state.thread_index() == 0) { item->row.failure = failure.what(); }
                    state.SkipWithError(failure.what());
                }
            });
        registered->UseManualTime()
            ->Repetitions(arguments.repetitions)
            ->Threads(item->options.threads);
        if (item->body) {
            registered->MinTime(
                item->options.seconds_min > 0 ? item->options.seconds_min : arguments.seconds_min);
        } else {
            registered->Iterations(1);
        }
    }
    Collector collector(std::move(rows));
    benchmark::RunSpecifiedBenchmarks(&collector);
    benchmark::Shutdown();
    return true;
}

int Suite::run(int argc, char** argv) {
    const Arguments arguments = Arguments::parse(argc, argv);
    if (!arguments.error.empty()) {
        std::cerr << argv[0] << ": " << arguments.error << '\n';
        return 2;
    }
    if (arguments.help) {
        std::cout << "usage: " << argv[0] << usage;
        return 0;
    }
    std::vector<Case*> chosen;
    for (Case& item : cases_) {
        const std::string id = item.row.library + "/" + item.row.name;
        const bool wanted = std::regex_search(item.row.name, arguments.only) ||
                            std::regex_search(id, arguments.only);
        if (wanted) { chosen.push_back(&item); }
    }
    if (arguments.list) {
        for (const Case* item : chosen) {
            std::cout << item->row.library << '/' << item->row.name << '\n';
        }
        return 0;
    }
    if (chosen.empty()) {
        std::cerr << argv[0] << ": no case matches --only '" << arguments.only_text
                  << "'; --list prints the cases\n";
        return 2;
    }
    std::ofstream json;
    if (!arguments.json.empty()) {
        json.open(arguments.json);
        if (!json) {
            std::cerr << argv[0] << ": cannot write '" << arguments.json << "'\n";
            return 2;
        }
    }
    is_brief_ = arguments.seconds_min < seconds_min_default;
    for (const std::string& line : notes_) { std::cerr << "# " << line << '\n'; }
    if (!execute(chosen, arguments)) { return 2; }

    std::vector<const Row*> rows;
    bool failed = false;
    for (Case* item : chosen) {
        if (item->row.samples.empty() && item->row.failure.empty()) {
            item->row.failure = "not measured";
        }
        failed = failed || !item->row.failure.empty();
        rows.push_back(&item->row);
    }
    print_table(std::cout, rows);
    if (json.is_open()) {
        write_json(json, rows);
        json.flush();
        failed = failed || !json;
    }
    return failed ? 1 : 0;
}

} // namespace weft::bench
