#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace weft::testing {

inline constexpr std::uint64_t spans_max = 5000; // Of a thread.
inline constexpr std::size_t batch_records = 64;

/// How far the threads of a program were when it was killed: written there, read here.
struct RingsCounters {
    struct Thread {
        std::atomic<std::uint64_t> started{0};
        std::atomic<std::uint64_t> ended{0};
    };
    std::array<Thread, 4> threads;
};

/// In a file that both map. Stays mapped.
inline RingsCounters& map_counters(const std::string& path) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(RingsCounters)) != 0) { std::abort(); }
    void* const memory =
        mmap(nullptr, sizeof(RingsCounters), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) { std::abort(); }
    return *static_cast<RingsCounters*>(memory);
}

} // namespace weft::testing
