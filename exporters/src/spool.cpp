#include "spool_state.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <new>

namespace weft {
namespace {

constexpr std::size_t segment_bytes_max_default = 16u << 20;
constexpr std::size_t segment_bytes_min = 16u << 10;

std::string range_problem(
    std::string_view field, std::uint64_t value, std::uint64_t low, std::uint64_t high,
    std::string_view unit = "") {
    if (value >= low && value <= high) { return {}; }
    return fmt::format(
        "SpoolOptions::{} is {}{}: allowed is {} to {}{}", field, value, unit, low, high, unit);
}

} // namespace

std::string_view name(WhenFull policy) noexcept {
    return policy == WhenFull::drop_newest ? "drop_newest" : "drop_oldest";
}

std::string problem_in(const SpoolOptions& options) {
    if (options.directory.empty() || options.directory.find('\0') != std::string::npos) {
        return "SpoolOptions::directory is empty or no path: give a directory on a local disk";
    }
    for (auto problem :
         {range_problem("bytes_max", options.bytes_max, 1u << 20, std::uint64_t{1} << 40),
          range_problem("memory_bytes_max", options.memory_bytes_max, 0, 1u << 30)}) {
        if (!problem.empty()) { return problem; }
    }
    if (options.segment_bytes != 0) {
        auto problem = range_problem(
            "segment_bytes", options.segment_bytes, segment_bytes_min, options.bytes_max / 4);
        if (!problem.empty()) { return problem + ", or 0 for the default"; }
    }
    if (options.sync && (options.sync->count() < 0 || *options.sync > std::chrono::hours(1))) {
        return fmt::format(
            "SpoolOptions::sync is {} ms: allowed is 0 to 3600000 ms, or none",
            options.sync->count());
    }
    if (options.when_full > WhenFull::drop_oldest) {
        return "SpoolOptions::when_full: allowed is drop_newest and drop_oldest";
    }
    return {};
}

Spool::State::State(
    SpoolOptions spool_options, Diagnostics& diagnostics, detail::SpoolFiles& spool_files)
    : options(std::move(spool_options)), log(diagnostics), files(spool_files), process(::getpid()),
      segment_bytes(
          options.segment_bytes != 0
              ? options.segment_bytes
              : std::min(options.bytes_max / 16, segment_bytes_max_default)) {
    counts.disk_bytes = detail::spool_bookkeeping_bytes;
}

Spool::State::~State() {
    if (!is_owner() || !directory.is_open()) { return; }
    try {
        end_segment();
        sync();
        // Also where nothing was settled: tells the next owner what there must be.
        if (cursor.next_sequence != next_sequence) {
            write_cursor(cursor.sequence, cursor.records_before);
            sync_cursor();
        }
    } catch (const std::bad_alloc&) {} // As if the process had died just now.
}

bool Spool::State::is_owner() const noexcept { return ::getpid() == process; }

std::string Spool::State::key_of(std::string_view what) const {
    return fmt::format("spool.{}.{}", what, options.directory);
}

Result<std::unique_ptr<Spool>> Spool::open(SpoolOptions options, Diagnostics& log) {
    return detail::open_spool(std::move(options), log, detail::SpoolFiles::system());
}

Result<std::unique_ptr<Spool>> detail::open_spool(
    SpoolOptions options, Diagnostics& log, SpoolFiles& files) {
    if (const auto problem = problem_in(options); !problem.empty()) {
        log.report(DiagnosticLevel::error, "spool.options", problem);
        return Errc::option_out_of_range;
    }
    auto state = std::make_unique<Spool::State>(std::move(options), log, files);
    if (const auto error = state->open()) { return error; }
    return std::make_unique<Spool>(std::move(state));
}

Spool::Spool(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Spool::~Spool() = default;

Spool::Append Spool::append(const std::shared_ptr<const Batch>& batch, TimePoint now) {
    try {
        return state_->append(batch, now);
    } catch (const std::bad_alloc&) { return Append::failed; }
}

std::optional<Spool::Entry> Spool::next() {
    try {
        return state_->next();
    } catch (const std::bad_alloc&) { return std::nullopt; } // It waits.
}

void Spool::acknowledge(std::uint64_t id, TimePoint now) {
    try {
        state_->acknowledge(id, now);
    } catch (const std::bad_alloc&) {} // It is settled; the files follow with the next one.
}

bool Spool::holds(std::uint64_t id) const noexcept { return state_->holds(id); }

void Spool::put_back_all() { state_->put_back_all(); }

std::optional<Spool::TimePoint> Spool::sync_due() const noexcept { return state_->due; }

void Spool::sync_if_due(TimePoint now) {
    if (!state_->due || now < *state_->due) { return; }
    try {
        state_->sync();
    } catch (const std::bad_alloc&) {} // With the next one.
}

SpoolCounts Spool::counts() const noexcept { return state_->counts; }

} // namespace weft
