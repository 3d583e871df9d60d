#pragma once
// A spool at work. Where a batch is, from append to the end:
//
//   segment on disk, unread ──next──▶ out ──acknowledge──▶ settled
//                                      │ ▲
//                              put back ▼ │ next
//                                    returned
//
// I1  `handed` lists what is out or returned, and what was settled before its elders, by sequence; everything older is
//     settled, everything younger is unread.
// I2  The cursor never passes a batch that is on disk and not settled, and it is written before a segment is deleted: so
//     a gap in the sequence is always a loss.
// I3  Segments are deleted oldest first. Only `writing` grows; after an error, or a restart, a new one is begun.
// I4  Segment::unread is what the headers promised. When the reader has passed a segment, what it has not come across
//     has been destroyed since.

#include "spool_files.hpp"
#include "spool_format.hpp"

#include <weft/exporters/spool.hpp>

#include <algorithm>
#include <deque>
#include <map>

namespace weft {

struct Spool::State {
    State(SpoolOptions spool_options, Diagnostics& diagnostics, detail::SpoolFiles& spool_files);
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    /// spool_open.cpp: takes possession and resumes.
    [[nodiscard]] boost::system::error_code open();

    [[nodiscard]] Append append(const std::shared_ptr<const Batch>& batch, TimePoint now);
    [[nodiscard]] std::optional<Entry> next();
    void acknowledge(std::uint64_t id, TimePoint now);
    void put_back_all();
    void sync();
    [[nodiscard]] bool holds(std::uint64_t id) const noexcept {
        return std::any_of(handed.begin(), handed.end(), [id](const Handed& one) {
            return one.id == id && one.is_on_disk && one.is != Handed::Is::settled;
        });
    }

    /// Whether this is the process that opened it. A forked child is not.
    [[nodiscard]] bool is_owner() const noexcept;

    std::optional<TimePoint> due; ///< Of sync().
    SpoolCounts counts;

private:
    struct Segment {
        std::uint64_t bytes = 0;
        SpoolAmount unread;
        std::uint64_t next_sequence = 0; ///< After its last batch.
        std::uint64_t next_records = 0;
        std::uint64_t corrupt_bytes = 0;        ///< Counted already.
        std::uint64_t corrupt_bytes_passed = 0; ///< By the reader.
        std::size_t handed = 0;                 ///< Entries of `handed` in it that are not settled.
    };
    using Segments = std::map<detail::SegmentName, Segment>;
    struct Handed {
        enum class Is : std::uint8_t { out, returned, settled };
        std::uint64_t id = 0;
        std::uint64_t records_before = 0;
        detail::SegmentName segment;
        std::uint64_t offset = 0;
        std::uint64_t records = 0;
        Is is = Is::out;
        bool is_on_disk = true; ///< False: dropped to make room while it was out.
    };
    struct Kept { ///< A batch that the reader need not read.
        std::uint64_t id = 0;
        std::uint64_t records_before = 0;
        detail::SegmentName segment;
        std::uint64_t offset = 0;
        std::uint64_t end = 0;
        std::shared_ptr<const Batch> batch;
    };
    enum class Read : std::uint8_t { done, destroyed, not_now };

    // spool_open.cpp
    [[nodiscard]] boost::system::error_code take_possession();
    [[nodiscard]] boost::system::error_code in_use();
    [[nodiscard]] boost::system::error_code fail_open(std::string_view what, int error);
    void note_owner();
    void read_cursor();
    void find_segments();
    void find_segment(const detail::SegmentName& name);
    void leave_alone(const detail::SegmentName& name);
    void resume();
    struct Resumption;
    void resume_segment(Segments::iterator segment, bool is_last, Resumption& so_far);
    void cut_tail(Segments::iterator segment, std::uint64_t bytes);
    void report_resumption() const;

    // spool_write.cpp
    [[nodiscard]] bool make_room(std::uint64_t bytes);
    [[nodiscard]] bool has_room(std::uint64_t bytes) const noexcept;
    void drop_oldest_segment();
    [[nodiscard]] bool begin_segment();
    void end_segment();
    [[nodiscard]] int write_entry(
        const Batch& batch, const detail::BodyCoder::Stored& stored, std::uint64_t offset);
    void keep_in_memory(
        const std::shared_ptr<const Batch>& batch, std::uint64_t offset, std::uint64_t end);
    void write_failed(std::string_view what, int error, TimePoint now);
    void write_succeeded();
    [[nodiscard]] bool sync_writer();
    void move_cursor();
    void write_cursor(std::uint64_t sequence, std::uint64_t records_before);
    void sync_cursor();
    void release_buffer() noexcept;
    void want_sync(TimePoint now);
    void release_segments();
    void remove(Segments::iterator segment);
    void resize(Segment& segment, std::uint64_t bytes) noexcept;

    // spool_read.cpp
    [[nodiscard]] std::optional<Entry> next_returned();
    [[nodiscard]] std::optional<Entry> next_kept();
    [[nodiscard]] Read next_on_disk(std::optional<Entry>& entry);
    [[nodiscard]] Read open_for_reading(const detail::SegmentName& segment);
    [[nodiscard]] std::shared_ptr<const Batch> read_batch(
        const detail::EntryHeader& header, std::uint64_t offset);
    void read_bytes(std::uint64_t offset, std::span<std::byte> into);
    void hand_out(const Handed& entry, std::uint64_t end);
    void pass_entry(const Handed& entry, std::uint64_t end, SpoolAmount& to);
    void pass_corrupt(std::uint64_t bytes);
    void pass_segment();
    void drop_settled();

    static void add(SpoolAmount& sum, SpoolAmount amount) noexcept {
        sum.batches += amount.batches;
        sum.records += amount.records;
    }
    static void move(SpoolAmount amount, SpoolAmount& from, SpoolAmount& to) noexcept {
        from.batches -= amount.batches;
        from.records -= amount.records;
        add(to, amount);
    }
    template <class Text>
    void report(DiagnosticLevel level, std::string_view what, Text&& text) const {
        try {
            log.report(level, key_of(what), std::forward<Text>(text));
        } catch (const std::bad_alloc&) {} // The line is lost, the batch is not.
    }
    [[nodiscard]] std::string key_of(std::string_view what) const;

    const SpoolOptions options;
    Diagnostics& log;
    detail::SpoolFiles& files;
    const int process;
    const std::uint64_t segment_bytes;

    detail::SpoolFile directory; // Holds the lock.
    detail::SpoolFile cursor_file;
    detail::SpoolFile writer; // Of `writing`.
    detail::SpoolFile reader; // Of `reader_of`.
    std::optional<detail::SegmentName> reader_of;

    Segments segments;
    Segments::iterator writing = segments.end();
    Segments::iterator reading = segments.end(); // end(): everything has been passed.
    std::uint64_t read_offset = 0;               // In `reading`.
    std::uint64_t read_sequence = 0;             // What the reader will take next, at least.
    std::uint64_t read_records = 0;              // `records_before` of that.
    std::uint64_t next_sequence = 1;
    std::uint64_t records_total = 0;

    std::deque<Handed> handed;
    std::deque<Kept> kept;
    std::size_t kept_bytes = 0;

    detail::SpoolCursor cursor; // As written last.
    bool cursor_is_known = false;
    int bad_slots = 0; // Of the cursor, when it was opened.
    bool cursor_is_dirty = false;
    bool data_is_dirty = false;
    bool directory_is_dirty = false;

    // While the disk fails: when it is tried again, and how much was refused meanwhile.
    std::optional<TimePoint> retry_at;
    std::uint64_t refused = 0;
    bool is_full = false; // Reported.

    detail::BodyCoder coder;
    std::vector<std::byte> buffer; // Header and body on their way to or from the disk.
};

namespace detail {

/// Spool::open on a disk of one's own.
[[nodiscard]] Result<std::unique_ptr<Spool>> open_spool(
    SpoolOptions options, Diagnostics& log, SpoolFiles& files);

} // namespace detail
} // namespace weft
