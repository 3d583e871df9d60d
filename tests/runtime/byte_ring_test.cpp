#include "byte_ring_probe.hpp"

#include <weft/runtime/byte_ring.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace weft {
namespace {

constexpr std::size_t everything = std::numeric_limits<std::size_t>::max();

bool push(ByteRing& ring, std::string_view payload) {
    std::byte* place = ring.claim(payload.size());
    if (place == nullptr) { return false; }
    std::memcpy(place, payload.data(), payload.size());
    ring.commit(place, payload.size());
    return true;
}

std::string text_of(std::span<const std::byte> payload) {
    return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

std::vector<std::string> take(ByteRing& ring, std::size_t bytes_max = everything) {
    std::vector<std::string> payloads;
    ring.consume(bytes_max, [&](std::span<const std::byte> payload) {
        payloads.push_back(text_of(payload));
        return true;
    });
    return payloads;
}

std::string payload_of(std::size_t size, unsigned salt) {
    std::string payload(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        payload[i] = static_cast<char>(salt * 31 + i * 7 + 1);
    }
    return payload;
}

// What the ring promises, told slowly: frames in order, padding where a frame would wrap.
class Model {
public:
    explicit Model(std::size_t capacity, std::uint64_t start = 0)
        : capacity_(capacity), head_(start), tail_(start) {}

    struct Frame {
        std::string payload;
        std::size_t bytes;
        bool is_padding;
    };

    bool push(const std::string& payload) {
        if (payload.size() > capacity_ / 8 - 8) { return false; }
        const std::size_t frame = std::max<std::size_t>(16, (payload.size() + 8 + 7) / 8 * 8);
        const std::size_t to_end = capacity_ - tail_ % capacity_;
        const std::size_t padding = frame > to_end ? to_end : 0;
        if (tail_ - head_ + padding + frame > capacity_) { return false; }
        if (padding != 0) { frames_.push_back({"", padding, true}); }
        frames_.push_back({payload, frame, false});
        tail_ += padding + frame;
        ++accepted;
        return true;
    }

    // Consumes as the ring does; `refuse_at` frames are accepted, the next one is refused.
    std::vector<std::string> take(std::size_t bytes_max, std::size_t refuse_at) {
        std::vector<std::string> out;
        std::size_t passed = 0;
        while (passed < bytes_max && !frames_.empty()) {
            const Frame& frame = frames_.front();
            if (!frame.is_padding) {
                if (out.size() == refuse_at) { break; }
                out.push_back(frame.payload);
                ++consumed;
            }
            passed += frame.bytes;
            head_ += frame.bytes;
            frames_.pop_front();
        }
        return out;
    }

    [[nodiscard]] std::size_t used() const { return tail_ - head_; }

    std::uint64_t accepted = 0;
    std::uint64_t consumed = 0;

private:
    std::size_t capacity_;
    std::uint64_t head_;
    std::uint64_t tail_;
    std::deque<Frame> frames_;
};

TEST(ByteRing, RoundsItsCapacityUpToAPowerOfTwoWithinItsBounds) {
    EXPECT_EQ(ByteRing(0).capacity(), ByteRing::capacity_min);
    EXPECT_EQ(ByteRing(1024).capacity(), 1024U);
    EXPECT_EQ(ByteRing(1025).capacity(), 2048U);
    EXPECT_EQ(ByteRing(everything).capacity(), ByteRing::capacity_max);
}

TEST(ByteRing, HandsOutPayloadsInOrderByteForByte) {
    ByteRing ring(4096);
    const std::vector<std::string> sent{"",   "a", "seven b", "eight by", std::string(100, '\0'),
                                        "end"};
    for (const auto& payload : sent) { ASSERT_TRUE(push(ring, payload)); }

    EXPECT_EQ(take(ring), sent);

    EXPECT_EQ(ring.used_bytes(), 0U);
    EXPECT_TRUE(take(ring).empty());
}

TEST(ByteRing, RefusesARecordLargerThanPayloadMaxAlsoWhenEmpty) {
    ByteRing ring(1024);

    EXPECT_EQ(ring.claim(ring.payload_max() + 1), nullptr);
    EXPECT_EQ(ring.claim(ring.capacity()), nullptr);
    EXPECT_EQ(ring.claim(everything), nullptr);
    EXPECT_EQ(ring.claim(everything - 6), nullptr);

    EXPECT_EQ(ring.frames_accepted(), 0U);
    EXPECT_EQ(ring.used_bytes(), 0U);
    EXPECT_TRUE(push(ring, std::string(ring.payload_max(), 'x')));
    EXPECT_EQ(take(ring).front().size(), ring.payload_max());
}

TEST(ByteRing, RefusesWhenFullAndRecoversWhenOneFrameHasBeenConsumed) {
    ByteRing ring(1024);
    int accepted = 0;
    while (push(ring, payload_of(56, static_cast<unsigned>(accepted)))) { ++accepted; }
    EXPECT_EQ(accepted, 16);
    EXPECT_EQ(ring.used_bytes(), ring.capacity());

    EXPECT_FALSE(push(ring, ""));
    EXPECT_EQ(ring.frames_accepted(), 16U);
    ring.consume(1, [](auto) { return true; });

    EXPECT_TRUE(push(ring, payload_of(56, 16)));
    EXPECT_FALSE(push(ring, ""));
    const auto rest = take(ring);
    ASSERT_EQ(rest.size(), 16U);
    for (unsigned i = 0; i < 16; ++i) { EXPECT_EQ(rest[i], payload_of(56, i + 1)); }
}

// Goal: a frame may begin and end anywhere, and never wraps (I3). Method: from every offset, every size class.
TEST(ByteRing, KeepsARecordWholeAtEveryOffsetOfTheWrap) {
    for (std::uint64_t offset = 0; offset < 1024; offset += 8) {
        for (std::size_t size = 0; size <= 120; size += size < 20 ? 1 : 5) {
            ByteRing ring(1024);
            ByteRingProbe::start_at(ring, offset, 0);
            Model model(1024, offset);
            std::vector<std::string> sent;
            for (unsigned i = 0;; ++i) {
                auto payload = payload_of(size, i);
                const bool expected = model.push(payload);
                ASSERT_EQ(push(ring, payload), expected) << "offset " << offset << " size " << size;
                if (!expected) { break; }
                sent.push_back(std::move(payload));
            }

            ASSERT_EQ(take(ring), sent) << "offset " << offset << " size " << size;

            ASSERT_EQ(ring.used_bytes(), 0U);
            ASSERT_TRUE(ByteRingProbe::is_zero_when_empty(ring)) << "offset " << offset;
        }
    }
}

TEST(ByteRing, PadsTheEndWithEightBytesWhenNoMoreAreLeft) {
    ByteRing ring(1024);
    ByteRingProbe::start_at(ring, 1016, 0);
    ASSERT_TRUE(push(ring, "x"));

    EXPECT_EQ(ring.used_bytes(), 8U + 16U);
    EXPECT_EQ(ring.frames_accepted(), 1U);

    EXPECT_EQ(take(ring), std::vector<std::string>{"x"});
    EXPECT_EQ(ring.frames_consumed(), 1U);
}

TEST(ByteRing, PassesOverPaddingWithoutCountingOrShowingIt) {
    ByteRing ring(1024);
    ByteRingProbe::start_at(ring, 1024 - 64, 0);
    ASSERT_TRUE(push(ring, payload_of(100, 1)));
    int visits = 0;

    const auto frames = ring.consume(1, [&](auto) { return ++visits, true; });
    EXPECT_EQ(frames, 0U);
    EXPECT_EQ(visits, 0);
    EXPECT_EQ(ring.frames_consumed(), 0U);

    EXPECT_EQ(take(ring), std::vector<std::string>{payload_of(100, 1)});
}

TEST(ByteRing, LeavesARefusedFrameForTheNextVisitor) {
    ByteRing ring(1024);
    for (unsigned i = 0; i < 5; ++i) { ASSERT_TRUE(push(ring, payload_of(10, i))); }
    std::size_t seen = 0;

    const auto consumed = ring.consume(everything, [&](auto) { return ++seen <= 2; });

    EXPECT_EQ(consumed, 2U);
    EXPECT_EQ(seen, 3U);
    EXPECT_EQ(ring.frames_consumed(), 2U);
    const auto rest = take(ring);
    ASSERT_EQ(rest.size(), 3U);
    EXPECT_EQ(rest.front(), payload_of(10, 2));
}

TEST(ByteRing, SurvivesAVisitorThatThrowsAndHandsOutWhatItHadNotTaken) {
    ByteRing ring(1024);
    for (unsigned i = 0; i < 5; ++i) { ASSERT_TRUE(push(ring, payload_of(10, i))); }
    int seen = 0;

    EXPECT_THROW(
        ring.consume(
            everything,
            [&](auto) -> bool {
                if (++seen == 3) { throw std::runtime_error("no memory for the batch"); }
                return true;
            }),
        std::runtime_error);

    EXPECT_EQ(ring.frames_consumed(), 2U);
    const auto rest = take(ring);
    ASSERT_EQ(rest.size(), 3U);
    EXPECT_EQ(rest.front(), payload_of(10, 2));
    EXPECT_EQ(ring.used_bytes(), 0U);
}

TEST(ByteRing, StopsAtTheByteBoundOfOneCall) {
    ByteRing ring(1024);
    for (unsigned i = 0; i < 6; ++i) {
        ASSERT_TRUE(push(ring, payload_of(24, i)));
    } // 32 bytes a frame.

    EXPECT_EQ(take(ring, 0).size(), 0U);
    EXPECT_EQ(take(ring, 32).size(), 1U);
    EXPECT_EQ(take(ring, 33).size(), 2U);
    EXPECT_EQ(take(ring).size(), 3U);
}

TEST(ByteRing, StopsAtAClaimThatIsNotCommittedAndGoesOnWhenItIs) {
    ByteRing ring(1024);
    std::byte* slow = ring.claim(4);
    ASSERT_NE(slow, nullptr);
    ASSERT_TRUE(push(ring, "behind"));

    EXPECT_TRUE(take(ring).empty());
    EXPECT_EQ(ring.frames_accepted(), 2U);

    std::memcpy(slow, "slow", 4);
    ring.commit(slow, 4);
    EXPECT_EQ(take(ring), (std::vector<std::string>{"slow", "behind"}));
}

TEST(ByteRing, IsPastHalfJustAboveHalfOfItsBytes) {
    ByteRing ring(1024);
    for (unsigned i = 0; i < 8; ++i) {
        EXPECT_FALSE(ring.past_half());
        ASSERT_TRUE(push(ring, payload_of(56, i)));
    }
    EXPECT_FALSE(ring.past_half());

    ASSERT_TRUE(push(ring, ""));
    EXPECT_TRUE(ring.past_half());

    ring.consume(1, [](auto) { return true; });
    EXPECT_FALSE(ring.past_half());
}

// Goal: order, bytes, room and counts are right over many laps. Method: the ring and a slow model do the same.
TEST(ByteRing, AgreesWithASlowModelOverManyLaps) {
    auto random = testing::Random::seeded("ByteRing model");
    for (const std::size_t capacity : {1024U, 2048U, 8192U}) {
        ByteRing ring(capacity);
        Model model(capacity);
        for (int step = 0; step < 20'000; ++step) {
            const std::size_t burst = random.between(1, 12);
            for (std::size_t i = 0; i < burst; ++i) {
                const auto payload = random.bytes(random.below(ring.payload_max() + 4));
                ASSERT_EQ(push(ring, payload), model.push(payload)) << "step " << step;
            }
            ASSERT_EQ(ring.used_bytes(), model.used());
            ASSERT_EQ(ring.past_half(), model.used() > capacity / 2);
            const std::size_t bytes_max = random.one_in(3) ? everything : random.below(capacity);
            const std::size_t refuse_at = random.one_in(2) ? everything : random.below(6);
            std::vector<std::string> taken;
            ring.consume(bytes_max, [&](std::span<const std::byte> payload) {
                if (taken.size() == refuse_at) { return false; }
                taken.push_back(text_of(payload));
                return true;
            });
            ASSERT_EQ(taken, model.take(bytes_max, refuse_at)) << "step " << step;
            ASSERT_EQ(ring.frames_accepted(), model.accepted);
            ASSERT_EQ(ring.frames_consumed(), model.consumed);
        }
        take(ring);
        EXPECT_TRUE(ByteRingProbe::is_zero_when_empty(ring));
    }
}

// The tail word holds the count's low bits only; the whole must come out right on both sides of their wrap.
TEST(ByteRing, CountsFramesExactlyAcrossTheWrapOfItsShortCount) {
    constexpr std::uint64_t wrap = std::uint64_t{1} << (64 - ByteRingProbe::offset_bits);
    for (const std::uint64_t laps : {1U, 2U, 7U}) {
        ByteRing ring(1024);
        std::uint64_t accepted = laps * wrap - 20;
        ByteRingProbe::start_at(ring, 128, accepted);
        std::uint64_t consumed = accepted;

        for (int i = 0; i < 40; ++i) {
            ASSERT_TRUE(push(ring, "a"));
            ASSERT_TRUE(push(ring, "b"));
            accepted += 2;
            ASSERT_EQ(ring.frames_accepted(), accepted);
            ASSERT_EQ(ring.frames_consumed(), consumed);
            consumed += take(ring, 16 * 2).size();
            ASSERT_EQ(ring.frames_accepted(), accepted);
            ASSERT_EQ(ring.frames_consumed(), consumed);
        }
    }
}

TEST(ByteRing, KeepsRecordsAcrossTheWrapOfItsByteOffset) {
    ByteRing ring(1024);
    ByteRingProbe::start_at(ring, ByteRingProbe::offset_mask + 1 - 1024, 0);
    Model model(1024);
    for (unsigned i = 0; i < 100; ++i) {
        const auto payload = payload_of(i % 120, i);
        while (!model.push(payload)) { ASSERT_EQ(take(ring, 64), model.take(64, everything)); }
        ASSERT_TRUE(push(ring, payload)) << i;
        ASSERT_EQ(ring.used_bytes(), model.used());
        ASSERT_EQ(ring.past_half(), model.used() > 512);
    }
    EXPECT_EQ(take(ring), model.take(everything, everything));
    EXPECT_EQ(ring.frames_accepted(), 100U);
}

TEST(ByteRing, CountsTheLargestRingFullOfTheSmallestFrames) {
    ByteRing ring(ByteRing::capacity_max);
    const std::uint64_t frames = ring.capacity() / 16;
    ByteRingProbe::claim_unseen(ring, ring.capacity(), frames);

    EXPECT_EQ(ring.frames_accepted(), frames);
    EXPECT_EQ(ring.used_bytes(), ring.capacity());
    EXPECT_EQ(ring.claim(0), nullptr);
}

TEST(ByteRing, StillTakesPushesAfterItsPagesWereDiscarded) {
    ByteRing ring(4096);
    for (unsigned i = 0; i < 10; ++i) { ASSERT_TRUE(push(ring, payload_of(100, i))); }
    ring.discard_pages();

    int late = 0;
    while (push(ring, "late")) { ASSERT_LT(++late, 1000); }

    EXPECT_GT(late, 0);
    EXPECT_EQ(ring.frames_accepted(), 10U + static_cast<unsigned>(late));
}

} // namespace
} // namespace weft
