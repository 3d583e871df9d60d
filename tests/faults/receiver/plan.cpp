#include "plan.hpp"

#include <array>
#include <charconv>

namespace weft::faults {
namespace {

struct Known {
    std::string_view name;
    Kind kind;
    std::uint64_t argument; // Without one given.
};
constexpr std::array<Known, 15> known{{
    {"status", Kind::status, 503},
    {"refuse-zstd", Kind::refuse_zstd, 0},
    {"reset-before", Kind::reset_before, 0},
    {"reset-during", Kind::reset_during, 0},
    {"reset-after", Kind::reset_after, 0},
    {"silence", Kind::silence, 0},
    {"trickle", Kind::trickle, 1000},
    {"garbage", Kind::garbage, 0},
    {"content-type", Kind::content_type, 0},
    {"garbage-body", Kind::garbage_body, 0},
    {"gzip-bomb", Kind::gzip_bomb, 0},
    {"huge-body", Kind::huge_body, 64},
    {"huge-header", Kind::huge_header, 10},
    {"forget", Kind::forget, 0},
    {"partial", Kind::partial, 1},
}};

std::optional<std::uint64_t> number(std::string_view text) noexcept {
    std::uint64_t value = 0;
    const auto end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value);
    if (read.ec != std::errc() || read.ptr != end) { return std::nullopt; }
    return value;
}

std::int64_t now_ms() noexcept {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

} // namespace

std::optional<Fault> parse_fault(std::string_view text, std::string& problem) {
    const auto name = text.substr(0, text.find('='));
    for (const auto& one : known) {
        if (one.name != name) { continue; }
        Fault fault{one.kind, one.argument, std::nullopt};
        if (name.size() == text.size()) { return fault; }
        auto argument = text.substr(name.size() + 1);
        const auto comma = argument.find(',');
        if (comma != std::string_view::npos) {
            fault.retry_after = number(argument.substr(comma + 1));
            argument = argument.substr(0, comma);
        }
        const auto value = number(argument);
        if (!value || (comma != std::string_view::npos && !fault.retry_after)) {
            problem = "--fault " + std::string(text) + ": after '=' comes a number";
            return std::nullopt;
        }
        fault.argument = *value;
        return fault;
    }
    problem = "--fault " + std::string(text) + ": no such kind; see --help";
    return std::nullopt;
}

std::string_view fault_help() noexcept {
    return "kinds of fault, ARG after '=':\n"
           "  status=CODE[,RETRY_AFTER]  answers so and stores nothing\n"
           "  refuse-zstd                415 for zstd, stores nothing of it\n"
           "  reset-before, reset-during, reset-after   the connection is reset before the body, "
           "amid it, or\n"
           "                             behind it; only the last has stored it\n"
           "  silence                    stores, never answers\n"
           "  trickle[=MS]               stores, answers one byte every MS (1000)\n"
           "  garbage                    stores, answers what is no HTTP\n"
           "  content-type               stores, 200 with HTML\n"
           "  garbage-body               stores, 200 with protobuf that is none\n"
           "  gzip-bomb                  stores, 200 with 1 MiB that would expand to 1 GiB\n"
           "  huge-body[=MIB], huge-header[=MIB]   stores, 200 with so much of it (64, 10)\n"
           "  forget                     stores nothing, 200 all the same\n"
           "  partial[=N]                stores all but the first N (1), which it says it "
           "rejected\n";
}

Fault Plan::next() noexcept {
    if (faults.empty()) { return {}; }
    if (within) {
        std::int64_t began = 0;
        const auto now = now_ms();
        // relaxed: whoever is first decides; a request at the very end of the time may go either way.
        if (began_ms_.compare_exchange_strong(began, now, std::memory_order_relaxed)) {
            began = now;
        }
        if (now - began >= within->count()) { return {}; }
    }
    // relaxed: they only number.
    const auto request = requests_.fetch_add(1, std::memory_order_relaxed);
    if (request >= first || (request + 1) % every != 0) { return {}; }
    return faults[faulted_.fetch_add(1, std::memory_order_relaxed) % faults.size()]; // As above.
}

} // namespace weft::faults
