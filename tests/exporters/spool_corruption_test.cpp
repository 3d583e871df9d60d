// What is on disk may be anything. Claims of every test here: the spool opens; every batch that was not hit comes out, once
// and in order, byte for byte; no other does; how much is missing is counted, and the counts add up.
#include "spool_fixture.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace weft {
namespace {

using testing::number_of;
using testing::numbers_from_to;
using testing::read_file;
using testing::records_from_to;
using testing::SpoolTest;
using testing::take_all;
using testing::write_file;

using Files = std::map<std::string, std::string>; // Content by path.

// Which number an entry holds, by where it lies in which file.
struct Extent {
    std::string file;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t number = 0;
};

class SpoolCorruption : public SpoolTest {
protected:
    // What is forced to disk makes no difference here but to the time it takes.
    [[nodiscard]] SpoolOptions options() const override {
        auto with = SpoolTest::options();
        with.sync.reset();
        return with;
    }
    [[nodiscard]] Files read_files() const {
        Files files;
        for (const auto& entry : std::filesystem::directory_iterator(folder / "spool")) {
            files[entry.path().string()] = read_file(entry.path().string());
        }
        return files;
    }
    void restore(const Files& files) const {
        std::filesystem::remove_all(folder / "spool");
        std::filesystem::create_directory(folder / "spool");
        std::filesystem::permissions(folder / "spool", std::filesystem::perms::owner_all);
        for (const auto& [path, bytes] : files) { write_file(path, bytes); }
    }
    // Batches `settled` to `count` wait in it; nobody owns it.
    Files make(std::uint64_t settled, std::uint64_t count) {
        open();
        append(0, count);
        for (std::uint64_t i = 0; i < settled; ++i) { spool->acknowledge(spool->next()->id); }
        spool.reset();
        return read_files();
    }
    static std::vector<Extent> extents_of(const Files& files) {
        std::vector<Extent> extents;
        for (const auto& [path, bytes] : files) {
            const auto name = detail::parse_segment_name(path.substr(path.rfind('/') + 1));
            if (!name) { continue; }
            detail::EntryScanner scanner(
                [&content = bytes](std::uint64_t offset, std::span<std::byte> into) {
                    std::memcpy(into.data(), content.data() + offset, into.size());
                },
                {bytes.size(), name->salt});
            while (const auto found = scanner.next()) {
                extents.push_back({path, found->offset, found->end(), found->header.sequence - 1});
            }
        }
        return extents;
    }
    // Opens, takes all, and checks it against what should have survived of `settled` to `count`. Batches that were
    // settled may come again if the cursor was hit.
    void expect_survivors(
        const std::vector<std::uint64_t>& hit, std::uint64_t settled, std::uint64_t count,
        bool is_cursor_hit) {
        open();
        auto numbers = take_all(*spool);
        if (is_cursor_hit) {
            ASSERT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
            std::erase_if(numbers, [&](std::uint64_t number) { return number < settled; });
        }
        std::vector<std::uint64_t> expected;
        std::uint64_t lost_records = 0;
        std::uint64_t lost = 0;
        for (std::uint64_t number = settled; number < count; ++number) {
            if (std::find(hit.begin(), hit.end(), number) == hit.end()) {
                expected.push_back(number);
            } else {
                ++lost;
                lost_records += records_from_to(number, number + 1);
            }
        }
        EXPECT_EQ(numbers, expected);
        const auto counts = spool->counts();
        EXPECT_TRUE(counts.is_balanced());
        EXPECT_EQ(counts.waiting.batches, 0u);
        if (!is_cursor_hit) {
            EXPECT_EQ(counts.lost.batches, lost);
            EXPECT_EQ(counts.lost.records, lost_records);
        }
    }
};

// Goal: one byte, anywhere. Method: 1000 seeded places, each in a fresh copy; WEFT_SPOOL_CORRUPTIONS for more.
TEST_F(SpoolCorruption, OfAnyByteCostsTheBatchThatItIsInAndNoOther) {
    constexpr std::uint64_t settled = 25;
    constexpr std::uint64_t count = 150;
    const Files original = make(settled, count);
    const auto extents = extents_of(original);
    auto random = testing::Random::seeded("spool corruption");
    const char* given = std::getenv("WEFT_SPOOL_CORRUPTIONS");
    const int rounds = given != nullptr ? std::atoi(given) : 300;
    std::uint64_t total = 0;
    for (const auto& [path, bytes] : original) { total += bytes.size(); }
    for (int round = 0; round < rounds && !HasFailure(); ++round) {
        auto files = original;
        auto place = random.below(total);
        auto file = files.begin();
        while (place >= file->second.size()) { place -= file++->second.size(); }
        file->second[place] = static_cast<char>(file->second[place] ^ random.between(1, 255));
        std::vector<std::uint64_t> hit;
        for (const auto& extent : extents) {
            if (extent.file == file->first && extent.begin <= place && place < extent.end) {
                hit.push_back(extent.number);
            }
        }
        const bool is_cursor = file->first.ends_with("/cursor");
        SCOPED_TRACE(fmt::format("byte {} of {}", place, file->first));
        restore(files);
        expect_survivors(hit, settled, count, is_cursor);
        if (!hit.empty() && hit.front() >= settled) {
            EXPECT_EQ(spool->counts().corrupt_ranges, 1u);
            EXPECT_EQ(lines.count("lost") > 0, true);
        }
    }
}

TEST_F(SpoolCorruption, OfManyStretchesCostsTheBatchesThatTheyAreIn) {
    constexpr std::uint64_t count = 300;
    const Files original = make(0, count);
    const auto extents = extents_of(original);
    auto random = testing::Random::seeded("spool stretches");
    for (int round = 0; round < 40 && !HasFailure(); ++round) {
        auto files = original;
        std::set<std::uint64_t> hit;
        for (std::size_t i = random.between(1, 20); i > 0; --i) {
            auto file =
                std::next(files.begin(), static_cast<std::ptrdiff_t>(random.below(files.size())));
            if (!file->first.ends_with(".v1")) { continue; }
            const auto begin = random.below(file->second.size());
            const auto end = std::min(file->second.size(), begin + 1 + random.below(3000));
            const auto noise =
                random.one_in(2) ? random.bytes(end - begin) : std::string(end - begin, '\0');
            for (std::size_t at = begin; at < end; ++at) { file->second[at] = noise[at - begin]; }
            for (const auto& extent : extents) {
                const auto& was = original.at(file->first);
                const auto size = extent.end - extent.begin;
                if (extent.file == file->first &&
                    was.compare(extent.begin, size, file->second, extent.begin, size) != 0) {
                    hit.insert(extent.number);
                }
            }
        }
        restore(files);
        expect_survivors({hit.begin(), hit.end()}, 0, count, false);
    }
}

TEST_F(SpoolCorruption, ByACutAnywhereCostsWhatIsBehindTheCut) {
    const Files original = make(2, 8);
    const auto extents = extents_of(original);
    ASSERT_EQ(extents.back().file, extents.front().file);
    const auto& path = extents.front().file;
    for (std::size_t size = 0; size < original.at(path).size() && !HasFailure(); ++size) {
        auto files = original;
        files[path].resize(size);
        std::vector<std::uint64_t> hit;
        for (const auto& extent : extents) {
            if (extent.end > size) { hit.push_back(extent.number); }
        }
        SCOPED_TRACE(size);
        restore(files);
        expect_survivors(hit, 2, 8, false); // The cursor knows how many there were.
    }
}

// As a crash leaves it: the cursor knows nothing of what came after it.
TEST_F(SpoolCorruption, AtTheEndOfTheNewestSegmentIsATornWriteAndCutOff) {
    open();
    append(0, 8);
    const Files original = read_files(); // Not closed.
    spool.reset();
    const auto extents = extents_of(original);
    const auto& path = extents.back().file;
    const auto last = extents.back();
    for (auto size = last.begin + 1; size < last.end && !HasFailure(); ++size) {
        auto files = original;
        files[path].resize(size);
        SCOPED_TRACE(size);
        restore(files);
        open();
        EXPECT_EQ(spool->counts().torn_bytes, size - last.begin);
        EXPECT_EQ(spool->counts().corrupt_ranges, 0u);
        EXPECT_EQ(spool->counts().lost.batches, 0u);
        append(7, 9);
        open_after_death();
        EXPECT_EQ(spool->counts().torn_bytes, 0u); // Once.
        EXPECT_EQ(take_all(*spool), numbers_from_to(0, 9));
    }
}

TEST_F(SpoolCorruption, OfAWholeSegmentIsCountedToTheRecord) {
    const Files original = make(0, 300);
    const auto extents = extents_of(original);
    const auto middle = testing::files_in(folder / "spool", ".v1").at(2);
    std::vector<std::uint64_t> hit;
    for (const auto& extent : extents) {
        if (extent.file == middle) { hit.push_back(extent.number); }
    }
    ASSERT_GT(hit.size(), 10u);

    auto files = original;
    files[middle].assign(files[middle].size(), '\0');
    restore(files);
    expect_survivors(hit, 0, 300, false);
    EXPECT_EQ(
        lines.count(fmt::format(
            "{} batches of {} records", hit.size(), records_from_to(hit.front(), hit.back() + 1))),
        1u);

    files.erase(middle); // Gone altogether.
    restore(files);
    expect_survivors(hit, 0, 300, false);
}

TEST_F(SpoolCorruption, OfTheFirstAndTheLastSegmentIsCountedToo) {
    const Files original = make(3, 300);
    const auto names = testing::files_in(folder / "spool", ".v1");
    for (const auto& path : {names.front(), names.back()}) {
        auto files = original;
        std::vector<std::uint64_t> hit;
        for (const auto& extent : extents_of(original)) {
            if (extent.file == path && extent.number >= 3) { hit.push_back(extent.number); }
        }
        files[path] = testing::Random(7).bytes(files[path].size());
        restore(files);
        expect_survivors(hit, 3, 300, false);
    }
}

TEST_F(SpoolCorruption, IsCountedOnceOverRestarts) {
    const Files original = make(0, 100);
    auto files = original;
    const auto extents = extents_of(original);
    files[extents[0].file][extents[0].begin] ^= 1; // The oldest: it is passed at once.
    restore(files);

    open();
    EXPECT_EQ(spool->counts().lost.batches, 1u);
    open_after_death();
    EXPECT_EQ(spool->counts().lost.batches, 0u);
    EXPECT_EQ(take_all(*spool), numbers_from_to(1, 100));
}

TEST_F(SpoolCorruption, OfTheCursorSendsAgainNoMoreThanTheOldestSegmentHolds) {
    const Files original = make(120, 300);
    const auto cursor = folder / "spool/cursor";
    for (const auto& content :
         {std::string(), std::string(5000, '\0'), std::string(4160, '\xff'),
          std::string(64, 'x')}) {
        auto files = original;
        files[cursor] = content;
        restore(files);
        open();
        const auto numbers = take_all(*spool);
        ASSERT_FALSE(numbers.empty());
        EXPECT_EQ(numbers, numbers_from_to(numbers.front(), 300));
        EXPECT_LE(numbers.front(), 120u);
        EXPECT_EQ(numbers.front(), extents_of(original).front().number);
        EXPECT_EQ(spool->counts().lost.batches, 0u);
    }
    auto files = original;
    files.erase(cursor);
    restore(files);
    open();
    EXPECT_EQ(take_all(*spool).back(), 299u);
}

TEST_F(SpoolCorruption, OfOneCursorSlotSendsAgainOneBatch) {
    const Files original = make(120, 300);
    const auto cursor = folder / "spool/cursor";
    std::size_t exact = 0;
    for (const std::size_t slot : {0, 4096}) {
        auto files = original;
        files[cursor][slot + 20] ^= 4;
        restore(files);
        open();
        const auto numbers = take_all(*spool);
        EXPECT_EQ(numbers.back(), 299u);
        EXPECT_GE(numbers.front(), 119u);
        exact += numbers.front() == 120 ? 1 : 0;
        EXPECT_EQ(spool->counts().corrupt_ranges, 1u);
        spool.reset();
        open();
        EXPECT_EQ(spool->counts().corrupt_ranges, 0u); // Healed.
    }
    EXPECT_GE(exact, 1u);
}

TEST_F(SpoolCorruption, WhileItIsOpenIsCountedWhenItIsRead) {
    auto with = options();
    with.memory_bytes_max = 0;
    open(with);
    append(0, 200);
    ASSERT_EQ(number_of(*spool->next()->batch), 0u);
    const auto files = read_files();
    const auto extents = extents_of(files);
    auto changed = files;
    changed[extents[50].file][extents[50].begin + 3] ^= 1;  // A header.
    changed[extents[90].file][extents[90].begin + 60] ^= 1; // A body.
    for (const auto& number : {50u, 90u}) {
        write_file(extents[number].file, changed[extents[number].file]);
    }

    auto expected = numbers_from_to(1, 200);
    std::erase(expected, 50u);
    std::erase(expected, 90u);
    EXPECT_EQ(take_all(*spool), expected);
    EXPECT_FALSE(spool->next());
    EXPECT_EQ(spool->counts().lost.batches, 2u);
    EXPECT_EQ(spool->counts().lost.records, records_from_to(50, 51) + records_from_to(90, 91));
    EXPECT_EQ(spool->counts().corrupt_ranges, 2u);
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolCorruption, OfABatchThatWasPutBackIsCounted) {
    open();
    append(0, 10);
    for (int i = 0; i < 5; ++i) { ASSERT_TRUE(spool->next()); }
    const auto files = read_files();
    const auto extents = extents_of(files);
    auto changed = files;
    changed[extents[2].file][extents[2].begin + 60] ^= 1;
    write_file(extents[2].file, changed[extents[2].file]);

    spool->put_back_all();

    auto expected = numbers_from_to(0, 10);
    std::erase(expected, 2u);
    EXPECT_EQ(take_all(*spool), expected);
    EXPECT_EQ(spool->counts().lost.records, records_from_to(2, 3));
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolCorruption, ByTheDeletionOfASegmentInUseIsCounted) {
    auto with = options();
    with.memory_bytes_max = 0;
    open(with);
    append(0, 300);
    const auto extents = extents_of(read_files());
    const auto gone = segments().at(3);
    std::filesystem::remove(gone);
    auto expected = numbers_from_to(0, 300);
    for (const auto& extent : extents) {
        if (extent.file == gone) { std::erase(expected, extent.number); }
    }

    EXPECT_EQ(take_all(*spool), expected);
    EXPECT_EQ(spool->counts().lost.batches, 300 - expected.size());
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolCorruption, OfEverythingLeavesAWorkingSpool) {
    auto files = make(5, 300);
    testing::Random random = testing::Random::seeded("spool rubble");
    for (auto& [path, bytes] : files) { bytes = random.bytes(bytes.size()); }
    restore(files);

    open();
    EXPECT_FALSE(spool->next());
    append(0, 20);
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 20));
    EXPECT_TRUE(spool->counts().is_balanced());
    spool.reset();
    EXPECT_TRUE(segments().empty());
}

} // namespace
} // namespace weft
