#pragma once
// What dead processes left behind in ring files, for a RecordQueue to hand out as if it had been made here.
//
// A file is adopted by whoever gets its lock, and stays until its last record is settled: then it is deleted. Before that
// the file itself says how far it has been settled, so that an adopter that is killed too leaves the rest to the next.

#include <weft/runtime/ring_image.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// A ring file on disk, opened for reading its image. Threads: one at a time.
class OrphanFile {
public:
    enum class State : std::uint8_t { orphan, alive, gone };
    enum class Purpose : std::uint8_t { adopt, inspect };

    /// Opens the file and tries for its lock, which it keeps while it lives, or, to inspect, lets go at once. Links are
    /// not followed, and files of other users are `gone`. Errors: std::bad_alloc.
    OrphanFile(int directory, const std::string& name, Purpose purpose = Purpose::adopt);
    OrphanFile(const OrphanFile&) = delete;
    OrphanFile& operator=(const OrphanFile&) = delete;
    ~OrphanFile();

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::uint64_t file_bytes() const noexcept { return bytes_; }
    /// Also of a file that is alive: then a glimpse. Lifetime: this object's.
    [[nodiscard]] RingImage::ReadAt reader() const;
    /// Notes how far a ring is settled. What cannot be written is replayed once more.
    void settle(std::uint64_t place, std::uint64_t word) noexcept;
    void remove() noexcept;

private:
    std::string name_;
    int directory_; // A copy: the caller's may be closed.
    int descriptor_ = -1;
    detail::OwnDescriptor own_directory_;
    detail::OwnDescriptor own_;
    std::uint64_t bytes_ = 0;
    State state_ = State::gone;
};

/// Names of the ring files in a folder, in order. Threads: any. Errors: std::bad_alloc.
[[nodiscard]] std::vector<std::string> ring_file_names(int directory);

/// What the adopter makes of another process's records.
class RecordTranslator {
public:
    RecordTranslator() = default;
    RecordTranslator(const RecordTranslator&) = delete;
    RecordTranslator& operator=(const RecordTranslator&) = delete;
    virtual ~RecordTranslator() = default;

    /// A file's records are to follow. False: it is not for this process, and is left to others.
    virtual bool begin(const RingImage& image) = 0;
    /// Makes a record of that file one of this process. False: it is damaged.
    virtual bool translate(std::span<std::byte> record) = 0;
};

/// Records on their way through a queue of this process. Threads: `accepted`, `consumed` and `bytes` any; the others one
/// at a time (the drain's).
class AdoptedRecords {
public:
    struct Limits {
        std::size_t files_max = 64;
        std::size_t bytes_max = std::size_t{64} << 20;
    };
    struct Report {
        std::uint64_t files = 0;
        std::uint64_t records = 0;
        std::uint64_t lost = 0;        ///< Half written, or damaged.
        std::uint64_t left_behind = 0; ///< Files over the limits, for the next start.
        std::uint64_t unreadable = 0;  ///< Files that are no ring files, or damaged as a whole.
    };

    AdoptedRecords() = default;
    AdoptedRecords(const AdoptedRecords&) = delete;
    AdoptedRecords& operator=(const AdoptedRecords&) = delete;

    /// Adopts what orphans of the folder hold. Before anything is consumed. Errors: std::system_error, as
    /// open_ring_directory; std::bad_alloc: what was adopted before stays adopted.
    [[nodiscard]] Report adopt(
        const std::string& directory, RecordTranslator& translator, const Limits& limits);

    /// As ByteRing::consume, without its bound.
    template <class Visit>
    std::size_t consume(Visit&& visit) {
        std::size_t count = 0;
        while (next_ < records_.size()) { // Bound: what was adopted.
            const Record& record = records_[next_];
            const std::span<const std::byte> all(files_[record.file]->rings[record.ring]);
            if (!visit(all.subspan(record.at, record.bytes))) { break; }
            ++next_;
            ++count;
            // relaxed: one writer. release: as ByteRing's E4.
            consumed_.store(next_, std::memory_order_release);
        }
        return count;
    }
    /// The oldest so many, which have been consumed, are settled.
    void release(std::size_t records) noexcept;
    /// Leaves the rest to the next adopter. Nothing is handed out any more.
    void let_go() noexcept;

    [[nodiscard]] std::uint64_t accepted() const noexcept {
        return accepted_.load(std::memory_order_acquire); // As ByteRing's E4.
    }
    [[nodiscard]] std::uint64_t consumed() const noexcept {
        return consumed_.load(std::memory_order_acquire); // As ByteRing's E4.
    }

private:
    struct File {
        std::unique_ptr<OrphanFile> file;
        std::vector<std::vector<std::byte>> rings; // By shard; empty once they are settled.
        std::vector<std::uint64_t> settled_at;
    };
    struct Record {
        std::uint32_t file = 0;
        std::uint32_t ring = 0;
        std::size_t at = 0;
        std::size_t bytes = 0;
        std::uint64_t settled = 0; // The ring's word when this one is done with.
        bool is_last = false;      // Of its file.
    };
    void adopt_file(
        std::unique_ptr<OrphanFile> orphan, const RingImage& image, RecordTranslator& translator,
        Report& report);

    std::vector<std::unique_ptr<File>> files_;
    std::vector<Record> records_;
    std::size_t next_ = 0;
    std::size_t released_ = 0;
    std::atomic<std::uint64_t> accepted_{0};
    std::atomic<std::uint64_t> consumed_{0};
};

} // namespace weft
