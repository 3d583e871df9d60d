// What has been received, in memory that outlives the process: a file, mapped and shared, so that a receiver which is
// killed and started again goes on counting where its predecessor was.
//
//   [counters][one byte for each number that a record can carry]
//
// A record's byte says "received" before the answer goes out and "acknowledged" after all of it has. A record that comes
// again is a duplicate; it is an unexplained one if it had been acknowledged, for then nobody had a reason to send it.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weft::faults {

enum class Count : std::uint8_t {
    connections,
    requests,
    faulted,      // Requests that were mistreated.
    accepted,     // Requests whose acceptance went out whole.
    refused,      // Requests answered with a status other than 2xx, or not stored at all.
    undecodable,  // Bodies that are no OTLP traces: a bug of the sender.
    unique,       // Records received, each number once.
    acknowledged, // Of these, acknowledged.
    duplicates,   // Records received again.
    unexplained,  // Of these, acknowledged before.
    rejected,     // Records refused by partial success.
    unnumbered,   // Records without a usable number: a bug of the sender.
    backwards,    // Records that end before they start.
    earliest_ns,  // Lowest start of a record. 0: none yet.
    latest_ns,    // Highest end.
    body_bytes,   // As they came.
    record_bytes, // Decompressed.
};
inline constexpr std::size_t count_count = 17;

class Store {
public:
    /// Maps `path`, made if missing; empty: memory of this process only. Throws std::system_error.
    Store(const std::string& path, std::uint64_t numbers_max);
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    void add(Count count, std::uint64_t n = 1) noexcept {
        counters_[static_cast<std::size_t>(count)].fetch_add(
            n, std::memory_order_relaxed); // Independent counts, read at the end.
    }
    void receive(std::span<const std::uint64_t> numbers) noexcept;
    /// Starts and ends of records, by which a stepped clock is known.
    void widen(std::uint64_t start_ns, std::uint64_t end_ns) noexcept;
    void acknowledge(std::span<const std::uint64_t> numbers) noexcept;
    /// One JSON object on one line.
    [[nodiscard]] std::string to_json() const;

private:
    using Byte = std::atomic<std::uint8_t>;
    using Counter = std::atomic<std::uint64_t>;
    static_assert(Byte::is_always_lock_free && Counter::is_always_lock_free, "shared by processes");

    Store(std::byte* memory, std::uint64_t numbers_max);

    std::span<Counter, count_count> counters_;
    std::span<Byte> numbers_;
};

} // namespace weft::faults
