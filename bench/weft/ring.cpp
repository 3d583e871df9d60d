// Question: what does handing one record over cost a producer? Goal: the ring alone, consumer at work on another thread.
// The floor is a memcpy of the same bytes into memory that is reused. "durable" is a ring in a file, whose consumer
// releases what it has read.
#include "cases.hpp"

#include <weft/runtime/byte_ring.hpp>
#include <weft/runtime/ring_file.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>

namespace weft::bench {
namespace {

constexpr std::size_t record_bytes = 256;

class Consumer {
public:
    explicit Consumer(ByteRing& ring_) : ring(ring_) {}
    void start() {
        stopping_.store(false, std::memory_order_relaxed); // The thread does not run yet.
        thread_ = std::thread([this] {
            while (
                !stopping_.load(std::memory_order_relaxed)) { // A flag: nothing is ordered by it.
                if (drain() == 0) { std::this_thread::yield(); }
            }
        });
    }
    void stop() {
        stopping_.store(true, std::memory_order_relaxed); // As above; join orders the rest.
        thread_.join();
        drain();
    }
    ByteRing& ring;

private:
    std::size_t drain() {
        const auto frames = ring.consume(ring.capacity(), [](std::span<const std::byte> payload) {
            keep(payload.data());
            return true;
        });
        if (ring.holds()) { ring.release(frames); }
        return frames;
    }
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

constexpr std::size_t ring_bytes = 16u << 20;

Consumer& consumer() {
    static ByteRing ring(ring_bytes);
    static Consumer instance(ring);
    return instance;
}

Consumer& durable_consumer() {
    static const auto ring = [] {
        RingFile file({.ring_bytes = ring_bytes, .service = "weft-bench"});
        auto mapped = file.map_ring(0);
        file.remove();
        return mapped;
    }();
    static Consumer instance(*ring);
    return instance;
}

void push_to(ByteRing& ring, std::uint64_t iterations) {
    static const std::array<std::byte, record_bytes> record{};
    for (std::uint64_t i = 0; i < iterations; ++i) {
        std::byte* place = ring.claim(record_bytes);
        while (place == nullptr) { // Bound: the consumer runs.
            std::this_thread::yield();
            place = ring.claim(record_bytes);
        }
        std::memcpy(place, record.data(), record_bytes);
        ring.commit(place, record_bytes);
    }
}

void push(std::uint64_t iterations) { push_to(consumer().ring, iterations); }
void push_durable(std::uint64_t iterations) { push_to(durable_consumer().ring, iterations); }

void copy_only(std::uint64_t iterations) {
    static const std::array<std::byte, record_bytes> record{};
    static std::array<std::byte, 512 * record_bytes> memory;
    for (std::uint64_t i = 0; i < iterations; ++i) {
        std::memcpy(memory.data() + (i % 512) * record_bytes, record.data(), record_bytes);
        clobber();
    }
}

} // namespace

void add_ring_cases(Suite& suite) {
    const auto begin = [] { consumer().start(); };
    const auto end = [] { consumer().stop(); };
    suite.add("ring_push_256_bytes_1_producer", "ns", copy_only, {.library = "floor"});
    suite.add("ring_push_256_bytes_1_producer", "ns", push, {.before = begin, .after = end});
    suite.add(
        "ring_push_256_bytes_2_producers", "ns", push,
        {.threads = 2, .before = begin, .after = end});
    const auto begin_durable = [] { durable_consumer().start(); };
    const auto end_durable = [] { durable_consumer().stop(); };
    suite.add(
        "ring_push_256_bytes_1_producer", "ns", push_durable,
        {.before = begin_durable, .after = end_durable, .library = "durable"});
    suite.add(
        "ring_push_256_bytes_2_producers", "ns", push_durable,
        {.threads = 2, .before = begin_durable, .after = end_durable, .library = "durable"});
}

} // namespace weft::bench
