#include "spool_fixture.hpp"
#include "spool_format.hpp"

#include <cstring>

namespace weft {
namespace {

using detail::BodyCoder;
using detail::decode_cursor;
using detail::decode_entry_header;
using detail::EntryHeader;
using detail::EntryScanner;
using detail::parse_segment_name;
using detail::SegmentName;
using detail::SpoolCursor;

const EntryHeader sample{
    .sequence = 0x0102030405060708,
    .records_before = 77,
    .time_ns = 1'700'000'000'000'000'000,
    .stored_bytes = 5,
    .body_bytes = 9,
    .records = 3,
    .stored_crc = 0xdeadbeef,
    .signal = Signal::logs,
    .coding = Compression::zstd};

// A segment in memory, made of entries and of rubbish.
class Segment {
public:
    static constexpr std::uint32_t salt = 0x5a17;

    void add_entry(std::uint64_t sequence, const std::string& body) {
        const EntryHeader header{
            .sequence = sequence,
            .stored_bytes = static_cast<std::uint32_t>(body.size()),
            .body_bytes = static_cast<std::uint32_t>(body.size()),
            .records = 1,
            .stored_crc = detail::crc_of(std::as_bytes(std::span(body)))};
        const auto encoded = detail::encode(header, salt);
        bytes.append(reinterpret_cast<const char*>(encoded.data()), encoded.size());
        bytes += body;
    }
    [[nodiscard]] EntryScanner scanner() const {
        return EntryScanner(
            [this](std::uint64_t offset, std::span<std::byte> into) {
                ASSERT_LE(offset + into.size(), bytes.size());
                std::memcpy(into.data(), bytes.data() + offset, into.size());
            },
            {bytes.size(), salt});
    }
    [[nodiscard]] std::vector<std::uint64_t> sequences() const {
        std::vector<std::uint64_t> found;
        auto scan = scanner();
        while (const auto entry = scan.next()) { found.push_back(entry->header.sequence); }
        return found;
    }

    std::string bytes;
};

TEST(SpoolFormat, ReadsAHeaderAsItWasWritten) {
    const auto bytes = detail::encode(sample, 42);

    const auto read = decode_entry_header(bytes, 42);

    ASSERT_TRUE(read);
    EXPECT_EQ(read->sequence, sample.sequence);
    EXPECT_EQ(read->records_before, sample.records_before);
    EXPECT_EQ(read->time_ns, sample.time_ns);
    EXPECT_EQ(read->stored_bytes, sample.stored_bytes);
    EXPECT_EQ(read->body_bytes, sample.body_bytes);
    EXPECT_EQ(read->records, sample.records);
    EXPECT_EQ(read->stored_crc, sample.stored_crc);
    EXPECT_EQ(read->signal, sample.signal);
    EXPECT_EQ(read->coding, sample.coding);
}

// So that files of one machine and version are read by the next: docs/spool.md says this.
TEST(SpoolFormat, IsWhatTheDocumentSays) {
    const auto bytes = detail::encode(sample, 0);
    std::string hex;
    for (const auto byte : bytes) { hex += fmt::format("{:02x}", std::to_integer<int>(byte)); }

    EXPECT_EQ(hex.substr(0, 8), "d75773e1");
    EXPECT_EQ(
        hex.substr(16), "0807060504030201"
                        "4d00000000000000"
                        "00002a36fe9c9717"
                        "05000000"
                        "09000000"
                        "03000000"
                        "efbeadde"
                        "02"
                        "02"
                        "0000");
    EXPECT_EQ(detail::crc_of(std::as_bytes(std::span("123456789", 9))), 0xcbf43926u);
}

TEST(SpoolFormat, RefusesAHeaderWithAnyByteChanged) {
    const auto bytes = detail::encode(sample, 42);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        for (const int flip : {1, 0x80, 0xff}) {
            auto changed = bytes;
            changed[i] ^= static_cast<std::byte>(flip);
            EXPECT_FALSE(decode_entry_header(changed, 42)) << i;
        }
    }
    EXPECT_FALSE(decode_entry_header(std::span(bytes).first(bytes.size() - 1), 42));
}

TEST(SpoolFormat, RefusesTheHeaderOfAnotherSegment) {
    EXPECT_FALSE(decode_entry_header(detail::encode(sample, 42), 43));
}

TEST(SpoolFormat, RefusesAHeaderThatMakesNoSense) {
    const auto refuses = [](auto change) {
        auto header = sample;
        change(header);
        return !decode_entry_header(detail::encode(header, 1), 1);
    };
    EXPECT_FALSE(refuses([](auto&) {}));
    EXPECT_TRUE(refuses([](auto& h) { h.sequence = detail::spool_sequence_max; }));
    EXPECT_TRUE(refuses([](auto& h) { h.body_bytes = detail::entry_body_bytes_max + 1; }));
    EXPECT_TRUE(refuses([](auto& h) { h.stored_bytes = h.body_bytes + 1; }));
    EXPECT_TRUE(refuses([](auto& h) { h.signal = static_cast<Signal>(3); }));
    EXPECT_TRUE(refuses([](auto& h) { h.coding = Compression::gzip; }));
    EXPECT_TRUE(refuses([](auto& h) { h.coding = Compression::none; })); // 5 bytes are not 9.
}

TEST(SpoolFormat, FindsEveryEntryAmongRubbish) {
    testing::Random random = testing::Random::seeded("spool rubbish");
    for (int round = 0; round < 50; ++round) {
        Segment segment;
        std::vector<std::uint64_t> expected;
        std::uint64_t rubbish_bytes = 0;
        for (std::uint64_t sequence = 1; sequence < 30; ++sequence) {
            if (random.one_in(4)) {
                // Half a header, magic bytes, or anything, short or longer than a window.
                const auto rubbish = random.one_in(3)   ? std::string("\xd7Ws\xe1 not really")
                                     : random.one_in(2) ? random.bytes(random.below(200))
                                                        : random.bytes(random.below(150'000));
                segment.bytes += rubbish;
                rubbish_bytes += rubbish.size();
            }
            segment.add_entry(sequence, random.bytes(random.below(9000)));
            expected.push_back(sequence);
        }
        auto scan = segment.scanner();
        std::vector<std::uint64_t> found;
        std::uint64_t skipped = 0;
        while (const auto entry = scan.next()) {
            found.push_back(entry->header.sequence);
            skipped += scan.skipped_bytes();
        }
        EXPECT_EQ(found, expected);
        EXPECT_EQ(skipped + scan.skipped_bytes(), rubbish_bytes);
        EXPECT_EQ(scan.offset(), segment.bytes.size());
    }
}

TEST(SpoolFormat, FindsAnEntryWhereverAWindowEnds) {
    for (std::size_t rubbish = (64u << 10) - 60; rubbish < (64u << 10) + 60; ++rubbish) {
        Segment segment;
        segment.bytes.assign(rubbish, '\xd7');
        segment.add_entry(8, "body");
        EXPECT_EQ(segment.sequences(), std::vector<std::uint64_t>{8}) << rubbish;
    }
}

TEST(SpoolFormat, TellsAnEntryThatTheSegmentCutsShort) {
    Segment segment;
    segment.add_entry(1, "whole");
    segment.add_entry(2, "this one is cut");
    segment.bytes.pop_back();

    auto scan = segment.scanner();

    EXPECT_TRUE(scan.next()->is_whole);
    const auto cut = scan.next();
    ASSERT_TRUE(cut);
    EXPECT_FALSE(cut->is_whole);
    EXPECT_EQ(cut->header.sequence, 2u);
    EXPECT_FALSE(scan.next());
}

// Somebody who knows the format stores a whole entry as an attribute of his, and a header before it is destroyed.
TEST(SpoolFormat, FindsNoEntryInsideOfABody) {
    Segment planted;
    planted.bytes.clear();
    auto forged = sample;
    forged.stored_bytes = forged.body_bytes = 0;
    forged.coding = Compression::none;
    const auto header = detail::encode(forged, 0); // The salt he cannot know.
    Segment segment;
    segment.add_entry(
        1, std::string(reinterpret_cast<const char*>(header.data()), header.size()) + " and on");
    segment.add_entry(2, "next");
    segment.bytes[10] ^= 1;

    EXPECT_EQ(segment.sequences(), std::vector<std::uint64_t>{2});
}

TEST(SpoolFormat, ReadsACursorAsItWasWrittenAndNoOther) {
    const SpoolCursor cursor{
        .generation = 9,
        .sequence = 5,
        .records_before = 50,
        .next_sequence = 7,
        .records_total = 70};
    const auto bytes = detail::encode(cursor);

    const auto read = decode_cursor(bytes);

    ASSERT_TRUE(read);
    EXPECT_EQ(read->generation, 9u);
    EXPECT_EQ(read->sequence, 5u);
    EXPECT_EQ(read->records_before, 50u);
    EXPECT_EQ(read->next_sequence, 7u);
    EXPECT_EQ(read->records_total, 70u);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto changed = bytes;
        changed[i] ^= std::byte{0x10};
        EXPECT_FALSE(decode_cursor(changed)) << i;
    }
    EXPECT_FALSE(decode_cursor(std::span(bytes).first(63)));
    EXPECT_FALSE(decode_cursor(detail::encode(SpoolCursor{.sequence = 8, .next_sequence = 7})));
}

TEST(SpoolFormat, WritesCursorsInTwoPlacesInTurn) {
    EXPECT_EQ(detail::cursor_slot_offset(2), 0u);
    EXPECT_EQ(detail::cursor_slot_offset(3), 4096u);
    EXPECT_EQ(detail::cursor_slot_offset(4), 0u);
}

TEST(SpoolFormat, NamesSegmentsSoThatTheySortAndReadsOnlySuchNames) {
    const SegmentName name{0x1f, 0xabc};
    EXPECT_EQ(detail::to_string(name), "000000000000001f-00000abc.v1");
    EXPECT_EQ(parse_segment_name("000000000000001f-00000abc.v1"), name);
    for (const char* other :
         {"", "cursor", "owner", "000000000000001f-00000abc.v2", "000000000000001f-00000abc.v1~",
          "000000000000001g-00000abc.v1", "000000000000001f_00000abc.v1",
          "-00000000000001f-00000abc.v1", "4000000000000000-00000abc.v1",
          "000000000000001f-+0000abc.v1"}) {
        EXPECT_FALSE(parse_segment_name(other)) << other;
    }
    EXPECT_TRUE(detail::is_foreign_segment("000000000000001f-00000abc.v2"));
    EXPECT_FALSE(detail::is_foreign_segment("000000000000001f-00000abc.v1"));
    EXPECT_FALSE(detail::is_foreign_segment("cursor"));
}

TEST(SpoolFormat, RestoresABodyOnlyIfItIsWhatWasStored) {
    BodyCoder coder;
    const std::string body(4000, 'b');
    const auto stored = coder.store(body);
    ASSERT_EQ(stored.coding, Compression::zstd);
    const std::vector<std::byte> bytes(stored.bytes.begin(), stored.bytes.end());
    EntryHeader header{
        .stored_bytes = static_cast<std::uint32_t>(bytes.size()),
        .body_bytes = 4000,
        .stored_crc = detail::crc_of(bytes),
        .coding = Compression::zstd};
    std::string back;

    EXPECT_TRUE(coder.restore(header, bytes, back));
    EXPECT_EQ(back, body);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto changed = bytes;
        changed[i] ^= std::byte{1};
        EXPECT_FALSE(coder.restore(header, changed, back)) << i;
    }
    EXPECT_FALSE(coder.restore(header, std::span(bytes).first(bytes.size() - 1), back));
    header.body_bytes = 3999; // The checksum is right, the promise is not.
    EXPECT_FALSE(coder.restore(header, bytes, back));
    header.body_bytes = 100'000'000;
    EXPECT_FALSE(coder.restore(header, bytes, back));
    EXPECT_LT(back.capacity(), 1'000'000u);
}

} // namespace
} // namespace weft
