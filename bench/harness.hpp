// The measuring loop that every bench program of this project shares.
//
// Google Benchmark calibrates, repeats, interleaves the repetitions of all cases and starts
// threads; this header adds what it lacks for us: work between the timed stretches that is not
// timed (the flush of a burst), allocations per operation, one JSON shape for all programs, and a
// table of medians with their spread.
//
//     int main(int argc, char** argv) {
//         weft::bench::Suite suite("weft");
//         suite.add("traceparent_inject", "ns", [&](std::uint64_t iterations) {
//             for (std::uint64_t i = 0; i < iterations; ++i) {
//             weft::bench::keep(format_traceparent(context)); }
//         });
//         return suite.run(argc, argv);
//     }
//
// What a figure is: the median over the repetitions of (elapsed time / operations) of one thread.
// With several threads it is what one thread waits per operation, not the throughput of all.
// Allocations are calls of `operator new` by the measured threads within the timed stretches; what
// a background thread allocates meanwhile is not seen.
#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weft::bench {

/// Calls of any `operator new` by the calling thread since it began. Cost: one thread-local load.
[[nodiscard]] std::uint64_t allocations_of_this_thread() noexcept;

/// Makes the compiler believe that `value` is used, so that the work behind it stays.
template <class T>
inline void keep(T&& value) {
    benchmark::DoNotOptimize(value);
}

/// Makes the compiler believe that all memory is read, so that stores before it stay.
inline void clobber() { benchmark::ClobberMemory(); }

struct CaseOptions {
    /// Threads that run the body at once. More than one needs `batch` 0.
    int threads = 1;
    /// Operations in one timed call of the body; 0 means all of a repetition in one call.
    std::uint64_t batch = 0;
    /// Not timed: called before and after each timed call of the body. With several threads, called
    /// once by the first one, while no body runs.
    std::function<void()> before = {};
    std::function<void()> after = {};
    /// Shortest timed stretch of a repetition in seconds; 0 takes the program's (--min-time).
    double seconds_min = 0;
    /// Field "library" of the case where it is not the suite's, such as "floor" or "asio".
    std::string library = {};
};

/// A program's cases. Not thread-safe: add all of them, then run once.
class Suite {
public:
    /// Does the operation `iterations` times. Exceptions fail the case and the program's exit
    /// status.
    using Body = std::function<void(std::uint64_t iterations)>;
    /// Gives a figure that is not a time per operation, such as "of_1000". Called once a
    /// repetition.
    using Value = std::function<double()>;

    /// `library` names what is measured in table and JSON.
    explicit Suite(std::string library);

    /// A time per operation. Unit: "ns", "us" or "ms". Throws std::invalid_argument on another
    /// unit.
    void add(std::string name, std::string unit, Body body, CaseOptions options = {});
    /// Any other figure, with a unit of its own.
    void add_value(std::string name, std::string unit, Value value, CaseOptions options = {});
    /// One line printed above the table: versions, settings, what a reader must know.
    void note(std::string line);

    /// While it runs: whether --min-time asks for less than the default, that is for a try. A value that takes long may then
    /// do less work.
    [[nodiscard]] bool is_brief() const noexcept { return is_brief_; }

    /// Reads the command line (--help lists it), measures, prints the table, writes --json FILE.
    /// Returns the exit status: 0, 1 when a case failed, 2 for a command line that it cannot obey.
    [[nodiscard]] int run(int argc, char** argv);

    /// One figure: a case with its repetitions. Shape: at least one sample unless `failure` is set.
    struct Row {
        std::string library;
        std::string name;
        std::string unit;
        std::vector<double> samples = {};
        double allocations_per_op = 0;
        std::string failure = {};
    };

private:
    struct Case {
        Row row;
        CaseOptions options;
        Body body = {};   // A time per operation, ...
        Value value = {}; // ... or, when there is no body, a figure.
        double unit_per_second = 1;
    };
    struct Arguments;

    Case& append(std::string name, std::string unit, CaseOptions options);
    void measure(Case& item, benchmark::State& state) const;
    /// False when Google Benchmark does not know an option that was passed on.
    bool execute(const std::vector<Case*>& chosen, const Arguments& arguments);

    std::string library_;
    bool is_brief_ = false;
    std::vector<std::string> notes_;
    std::vector<Case> cases_;
};

} // namespace weft::bench
