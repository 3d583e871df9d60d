#include "byte_ring_probe.hpp"

#include <weft/runtime/byte_ring.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

// A ring in a file: it holds what its consumer has read.

namespace weft {
namespace {

constexpr std::size_t everything = std::numeric_limits<std::size_t>::max();

std::unique_ptr<ByteRing> ring_in_a_file(std::size_t capacity) {
    const int file = memfd_create("ring", MFD_CLOEXEC);
    const auto bytes = static_cast<off_t>(ByteRing::words_bytes + capacity);
    if (file < 0 || ftruncate(file, bytes) != 0) { std::abort(); }
    auto ring = std::make_unique<ByteRing>(file, 0, capacity);
    close(file);
    return ring;
}

bool push(ByteRing& ring, std::string_view payload) {
    std::byte* place = ring.claim(payload.size());
    if (place == nullptr) { return false; }
    if (!payload.empty()) { std::memcpy(place, payload.data(), payload.size()); }
    ring.commit(place, payload.size());
    return true;
}

std::vector<std::string> take(ByteRing& ring, std::size_t most = everything) {
    std::vector<std::string> payloads;
    ring.consume(everything, [&](std::span<const std::byte> payload) {
        if (payloads.size() == most) { return false; }
        payloads.emplace_back(reinterpret_cast<const char*>(payload.data()), payload.size());
        return true;
    });
    return payloads;
}

TEST(HeldByteRing, GivesRoomOnlyForWhatIsReleased) {
    const auto ring = ring_in_a_file(1024);
    ASSERT_TRUE(ring->holds());
    for (int i = 0; i < 16; ++i) { ASSERT_TRUE(push(*ring, std::string(56, 'a'))); }
    EXPECT_FALSE(push(*ring, ""));

    EXPECT_EQ(take(*ring).size(), 16u);
    EXPECT_EQ(ring->held_bytes(), 1024u);
    EXPECT_FALSE(push(*ring, "")) << "all of it is held";
    EXPECT_TRUE(take(*ring).empty()) << "what was read is not read again";

    ring->release(1);
    EXPECT_EQ(ring->used_bytes(), 1024u - 64);
    EXPECT_TRUE(push(*ring, std::string(56, 'b')));
    EXPECT_FALSE(push(*ring, ""));
    EXPECT_EQ(take(*ring), std::vector<std::string>{std::string(56, 'b')});
    ring->release(16);
    EXPECT_EQ(ring->used_bytes(), 0u);
    EXPECT_TRUE(ByteRingProbe::is_zero_when_empty(*ring));
}

TEST(HeldByteRing, ReleasesNoMoreThanWasRead) {
    const auto ring = ring_in_a_file(1024);
    for (const auto* text : {"a", "b", "c"}) { push(*ring, text); }
    EXPECT_EQ(take(*ring, 1).size(), 1u);
    ring->release(100);
    EXPECT_EQ(take(*ring), (std::vector<std::string>{"b", "c"}));
    EXPECT_EQ(ring->frames_accepted(), 3u);
    EXPECT_EQ(ring->frames_consumed(), 3u);
}

// Goal: order, bytes and room are right over many laps, however far releases are behind. Method: beside a list.
TEST(HeldByteRing, AgreesWithAListOverManyLaps) {
    auto random = testing::Random::seeded("HeldByteRing list");
    for (const std::size_t capacity : {1024U, 8192U}) {
        const auto ring = ring_in_a_file(capacity);
        std::deque<std::string> unread;
        std::size_t held = 0;
        for (int step = 0; step < 20'000; ++step) {
            for (auto burst = random.below(8); burst != 0; --burst) {
                const auto payload = random.bytes(random.below(ring->payload_max() + 1));
                if (push(*ring, payload)) { unread.push_back(payload); }
            }
            const auto taken = take(*ring, random.one_in(3) ? everything : random.below(6));
            for (const auto& payload : taken) {
                ASSERT_FALSE(unread.empty());
                ASSERT_EQ(payload, unread.front()) << "step " << step;
                unread.pop_front();
            }
            held += taken.size();
            const auto released = random.below(held + 1);
            ring->release(released);
            held -= released;
            if (held == 0) { ASSERT_EQ(ring->held_bytes(), 0u); }
        }
        held += take(*ring).size();
        ring->release(held);
        EXPECT_EQ(ring->used_bytes(), 0u);
        EXPECT_TRUE(ByteRingProbe::is_zero_when_empty(*ring));
    }
}

} // namespace
} // namespace weft
