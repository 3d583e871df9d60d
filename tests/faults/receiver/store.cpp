#include "store.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace weft::faults {
namespace {

constexpr std::uint8_t received = 1;
constexpr std::uint8_t acknowledged = 2;
constexpr std::size_t header_bytes = 4096;
constexpr std::array<std::string_view, count_count> names{
    "connections", "requests",     "faulted",    "accepted",    "refused",     "undecodable",
    "unique",      "acknowledged", "duplicates", "unexplained", "rejected",    "unnumbered",
    "backwards",   "earliest_ns",  "latest_ns",  "body_bytes",  "record_bytes"};
static_assert(names[static_cast<std::size_t>(Count::record_bytes)] == "record_bytes");

std::byte* map(const std::string& path, std::size_t bytes) {
    const auto fail = [&](const char* what) {
        throw std::system_error(errno, std::system_category(), what + (" " + path));
    };
    int file = -1;
    if (!path.empty()) {
        file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0) { fail("cannot open"); }
        if (::ftruncate(file, static_cast<off_t>(bytes)) != 0) { fail("cannot size"); }
    }
    const int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void* const place = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    if (place == MAP_FAILED) { fail("cannot map"); }
    if (file >= 0) { ::close(file); }
    return static_cast<std::byte*>(place); // Kept until the process ends.
}

} // namespace

Store::Store(const std::string& path, std::uint64_t numbers_max)
    : Store(map(path, header_bytes + numbers_max), numbers_max) {}

Store::Store(std::byte* memory, std::uint64_t numbers_max)
    : counters_(reinterpret_cast<Counter*>(memory), count_count),
      numbers_(reinterpret_cast<Byte*>(memory + header_bytes), numbers_max) {}

void Store::receive(std::span<const std::uint64_t> numbers) noexcept {
    std::uint64_t fresh = 0;
    std::uint64_t again = 0;
    std::uint64_t unexplained = 0;
    std::uint64_t strange = 0;
    for (const auto number : numbers) {
        if (number >= numbers_.size()) {
            ++strange;
            continue;
        }
        // relaxed: two connections that carry one number agree on the order of that byte alone.
        const auto before = numbers_[number].fetch_or(received, std::memory_order_relaxed);
        fresh += (before & received) == 0 ? 1 : 0;
        again += (before & received) != 0 ? 1 : 0;
        unexplained += (before & acknowledged) != 0 ? 1 : 0;
    }
    add(Count::unique, fresh);
    add(Count::duplicates, again);
    add(Count::unexplained, unexplained);
    add(Count::unnumbered, strange);
}

void Store::widen(std::uint64_t start_ns, std::uint64_t end_ns) noexcept {
    auto& earliest = counters_[static_cast<std::size_t>(Count::earliest_ns)];
    auto& latest = counters_[static_cast<std::size_t>(Count::latest_ns)];
    // relaxed: each is a bound of its own. Bound of the loops: a lost race has moved the bound further.
    auto known = earliest.load(std::memory_order_relaxed);
    while ((known == 0 || start_ns < known) &&
           !earliest.compare_exchange_weak(known, start_ns, std::memory_order_relaxed)) {}
    known = latest.load(std::memory_order_relaxed); // As above.
    while (end_ns > known &&
           !latest.compare_exchange_weak(known, end_ns, std::memory_order_relaxed)) {} // As above.
}

void Store::acknowledge(std::span<const std::uint64_t> numbers) noexcept {
    std::uint64_t fresh = 0;
    for (const auto number : numbers) {
        if (number >= numbers_.size()) { continue; }
        // relaxed: as above.
        const auto before = numbers_[number].fetch_or(acknowledged, std::memory_order_relaxed);
        fresh += (before & acknowledged) == 0 ? 1 : 0;
    }
    add(Count::acknowledged, fresh);
}

std::string Store::to_json() const {
    std::string text;
    for (std::size_t i = 0; i < count_count; ++i) {
        text += text.empty() ? "{" : ", ";
        text += '"' + std::string(names[i]) + "\": ";
        text += std::to_string(counters_[i].load(std::memory_order_relaxed)); // See add().
    }
    return text + "}";
}

} // namespace weft::faults
