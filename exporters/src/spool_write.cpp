// The spool's way in: segments, the cursor, and what happens when the disk will not take them.
#include "spool_state.hpp"

#include <weft/runtime/ids.hpp>

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace weft {
namespace {

using detail::entry_header_bytes;
using namespace std::chrono_literals;

constexpr auto retry_interval = 1s;
constexpr auto cursor_window = 100ms; // Where every append is synced, settling still is not.
constexpr std::size_t idle_buffer_bytes_max = 1u << 20;

std::uint64_t blocks_of(std::uint64_t bytes) noexcept {
    return (bytes + detail::spool_block_bytes - 1) / detail::spool_block_bytes *
           detail::spool_block_bytes;
}

std::int64_t wall_now_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::string_view remedy_for(int error) noexcept {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return "free some space, or lower SpoolOptions::bytes_max (WEFT_SPOOL_BYTES)";
    case EROFS:
        return "mount the file system for writing, or set another directory";
    case EACCES:
    case EPERM:
        return "give the directory back to the user that runs this";
    case EFBIG:
        return "raise the process's limit on file sizes (ulimit -f)";
    case EMFILE:
    case ENFILE:
        return "raise the limit on open files (ulimit -n)";
    default:
        return "check the disk";
    }
}

} // namespace

Spool::Append Spool::State::append(const std::shared_ptr<const Batch>& batch, TimePoint now) {
    if (!batch || !is_owner() || (retry_at && now < *retry_at)) {
        ++refused;
        return Append::failed;
    }
    if (batch->body.size() > detail::entry_body_bytes_max || batch->records > UINT32_MAX ||
        !make_room(entry_header_bytes + 1)) {
        return Append::full;
    }
    const auto stored = coder.store(batch->body);
    const std::uint64_t bytes = entry_header_bytes + stored.bytes.size();
    if (!make_room(bytes)) { return Append::full; }
    if (writing != segments.end() && writing->second.bytes != 0 &&
        writing->second.bytes + bytes > segment_bytes) {
        end_segment();
    }
    if (writing == segments.end() && !begin_segment()) {
        write_failed("begin a segment", errno, now);
        return Append::failed;
    }
    const std::uint64_t offset = writing->second.bytes;
    if (const int error = write_entry(*batch, stored, offset); error != 0) {
        // What was written of it must not stay in the way of the next one.
        if (files.truncate(writer.get(), offset) != 0 || (error != ENOSPC && error != EDQUOT)) {
            end_segment();
        }
        write_failed("write", error, now);
        return Append::failed;
    }
    keep_in_memory(batch, offset, offset + bytes);
    for (auto* sum : {&writing->second.unread, &counts.written, &counts.waiting}) {
        add(*sum, {1, batch->records});
    }
    resize(writing->second, offset + bytes);
    records_total += batch->records;
    ++next_sequence;
    writing->second.next_sequence = next_sequence;
    writing->second.next_records = records_total;
    data_is_dirty = true;
    write_succeeded();
    if (options.sync && options.sync->count() == 0) {
        [[maybe_unused]] const bool done = sync_writer(); // Counted and reported; it is written.
    } else {
        want_sync(now);
    }
    return Append::written;
}

int Spool::State::write_entry(
    const Batch& batch, const detail::BodyCoder::Stored& stored, std::uint64_t offset) {
    const auto header = detail::encode(
        detail::EntryHeader{
            .sequence = next_sequence,
            .records_before = records_total,
            .time_ns = wall_now_ns(),
            .stored_bytes = static_cast<std::uint32_t>(stored.bytes.size()),
            .body_bytes = static_cast<std::uint32_t>(batch.body.size()),
            .records = static_cast<std::uint32_t>(batch.records),
            .stored_crc = detail::crc_of(stored.bytes),
            .signal = batch.signal,
            .coding = stored.coding},
        writing->first.salt);
    // One write for both: half as many calls, and the kernel takes it whole or the process dies before.
    try {
        buffer.resize(header.size() + stored.bytes.size());
    } catch (const std::bad_alloc&) { return ENOMEM; }
    std::copy(header.begin(), header.end(), buffer.begin());
    std::copy(
        stored.bytes.begin(), stored.bytes.end(),
        buffer.begin() + static_cast<std::ptrdiff_t>(header.size()));
    const int error = files.write_all(writer.get(), buffer, offset);
    release_buffer();
    return error;
}

// Only a huge batch needs so much.
void Spool::State::release_buffer() noexcept {
    if (buffer.capacity() > idle_buffer_bytes_max) { std::vector<std::byte>().swap(buffer); }
    coder.trim();
}

void Spool::State::keep_in_memory(
    const std::shared_ptr<const Batch>& batch, std::uint64_t offset, std::uint64_t end) {
    if (kept_bytes + batch->body.size() > options.memory_bytes_max) { return; }
    try {
        kept.push_back({next_sequence, records_total, writing->first, offset, end, batch});
    } catch (const std::bad_alloc&) { return; } // Then it is read back.
    kept_bytes += batch->body.size();
}

bool Spool::State::has_room(std::uint64_t bytes) const noexcept {
    std::uint64_t more = blocks_of(bytes);
    if (writing != segments.end() &&
        (writing->second.bytes == 0 || writing->second.bytes + bytes <= segment_bytes)) {
        more = blocks_of(writing->second.bytes + bytes) - blocks_of(writing->second.bytes);
    }
    return counts.disk_bytes + more <= options.bytes_max;
}

bool Spool::State::make_room(std::uint64_t bytes) {
    if (has_room(bytes)) { return true; }
    if (blocks_of(bytes) + detail::spool_bookkeeping_bytes <= options.bytes_max) {
        sync(); // Deletes what is settled.
        const auto dropped_before = counts.dropped_full.records;
        while (!has_room(bytes) && options.when_full == WhenFull::drop_oldest &&
               !segments.empty()) { // Bound: the segments.
            drop_oldest_segment();
        }
        if (counts.dropped_full.records != dropped_before) {
            report(DiagnosticLevel::warning, "full", [&] {
                return fmt::format(
                    "spool {} is full: the oldest {} records are dropped; raise "
                    "SpoolOptions::bytes_max (WEFT_SPOOL_BYTES), now {}, or find out why its "
                    "destination takes none",
                    options.directory, counts.dropped_full.records - dropped_before,
                    options.bytes_max);
            });
        }
        if (has_room(bytes)) { return true; }
    }
    if (!std::exchange(is_full, true)) {
        report(DiagnosticLevel::warning, "full", [&] {
            return fmt::format(
                "spool {} is full: batches are refused until there is room; raise "
                "SpoolOptions::bytes_max (WEFT_SPOOL_BYTES), now {}, or find out why its "
                "destination takes none",
                options.directory, options.bytes_max);
        });
    }
    return false;
}

// Those that are out stay so, without a copy on disk.
void Spool::State::drop_oldest_segment() {
    const auto oldest = segments.begin();
    const bool is_empty = oldest->second.bytes == 0;
    if (oldest == writing) { end_segment(); }
    if (is_empty) { return; } // Gone already.
    move(oldest->second.unread, counts.waiting, counts.dropped_full);
    oldest->second.unread = {};
    for (Handed& one : handed) {
        if (one.segment != oldest->first || one.is == Handed::Is::settled) { continue; }
        one.is_on_disk = false;
        if (one.is == Handed::Is::out) { continue; }
        one.is = Handed::Is::settled;
        move({1, one.records}, counts.waiting, counts.dropped_full);
    }
    oldest->second.handed = 0;
    while (!kept.empty() && kept.front().segment == oldest->first) { // Bound: what is kept.
        kept_bytes -= kept.front().batch->body.size();
        kept.pop_front();
    }
    if (reading == oldest) { pass_segment(); }
    drop_settled();
    move_cursor();
    sync_cursor();
    remove(oldest);
}

bool Spool::State::begin_segment() {
    const detail::SegmentName name{next_sequence, static_cast<std::uint32_t>(random_u64())};
    const std::string text = detail::to_string(name);
    const auto open = [&] {
        return files.open(directory.get(), text.c_str(), O_WRONLY | O_CREAT | O_EXCL);
    };
    if (!writer.open(open)) { return false; }
    writing = segments.emplace(name, Segment{}).first;
    writing->second.next_sequence = next_sequence;
    writing->second.next_records = records_total;
    if (reading == segments.end()) {
        reading = writing;
        read_offset = 0;
    }
    counts.segments = segments.size();
    directory_is_dirty = true;
    return true;
}

// Nothing more is written to it. What is not on disk yet is forced there now, for nobody will remember it later.
void Spool::State::end_segment() {
    if (writing == segments.end()) { return; }
    if (options.sync && data_is_dirty && !sync_writer()) { return; } // Has ended it.
    data_is_dirty = false;
    writer.close();
    const auto ended = std::exchange(writing, segments.end());
    const bool is_empty = ended->second.bytes == 0;
    if (reading == ended && read_offset >= ended->second.bytes) { pass_segment(); }
    if (is_empty) { remove(ended); }
}

// False: the system may have lost what it failed to write, and would not say so a second time. So this segment is left
// as it is, and a new one begun.
bool Spool::State::sync_writer() {
    if (directory_is_dirty && files.sync_directory(directory.get()) != 0) { ++counts.io_errors; }
    directory_is_dirty = false;
    data_is_dirty = false;
    if (writing == segments.end() || files.sync_data(writer.get()) == 0) { return true; }
    const int error = errno;
    ++counts.io_errors;
    report(DiagnosticLevel::error, "sync", [&] {
        return fmt::format(
            "spool {} cannot be forced to disk: {}; what was written lately may not survive a loss "
            "of power; {}",
            options.directory, detail::errno_text(error), remedy_for(error));
    });
    end_segment();
    return false;
}

void Spool::State::sync() {
    due.reset();
    if (!is_owner()) { return; }
    if (options.sync && data_is_dirty) { [[maybe_unused]] const bool done = sync_writer(); }
    move_cursor();
    sync_cursor();
    release_segments();
}

void Spool::State::want_sync(TimePoint now) {
    if (due || !options.sync) { return; }
    due = now + (options.sync->count() == 0 ? cursor_window : *options.sync);
}

// To the oldest batch that is on disk and not settled.
void Spool::State::move_cursor() {
    const auto oldest = std::find_if(handed.begin(), handed.end(), [](const Handed& one) {
        return one.is != Handed::Is::settled && one.is_on_disk;
    });
    const bool is_handed = oldest != handed.end();
    const auto sequence = is_handed ? oldest->id : read_sequence;
    if (sequence == cursor.sequence) { return; }
    write_cursor(sequence, is_handed ? oldest->records_before : read_records);
}

// In place of the older of the two, so that a write that fails half way leaves the other.
void Spool::State::write_cursor(std::uint64_t sequence, std::uint64_t records_before) {
    const detail::SpoolCursor fresh{
        .generation = cursor.generation + 1,
        .sequence = sequence,
        .records_before = records_before,
        .next_sequence = next_sequence,
        .records_total = records_total};
    int error = 0;
    const auto open = [&] { return files.open(directory.get(), "cursor", O_RDWR | O_CREAT); };
    if (!cursor_file.is_open() && !cursor_file.open(open)) { error = errno; }
    if (error == 0) {
        error = files.write_all(
            cursor_file.get(), detail::encode(fresh), detail::cursor_slot_offset(fresh.generation));
    }
    if (error != 0) {
        ++counts.io_errors;
        report(DiagnosticLevel::warning, "cursor", [&] {
            return fmt::format(
                "spool {}: cannot note what has been sent: {}; it would be sent again after a "
                "restart; {}",
                options.directory, detail::errno_text(error), remedy_for(error));
        });
        return;
    }
    cursor = fresh;
    cursor_is_dirty = true;
}

// Where it fails, segments are deleted all the same: on a full disk that is what makes room. A restart then takes what is
// gone for lost, which counts too much, not too little.
void Spool::State::sync_cursor() {
    if (!options.sync || !std::exchange(cursor_is_dirty, false)) { return; }
    if (files.sync_data(cursor_file.get()) != 0) { ++counts.io_errors; }
}

void Spool::State::release_segments() {
    // Oldest first (I3). Bound: the segments.
    for (auto oldest = segments.begin(); oldest != segments.end(); oldest = segments.begin()) {
        const bool is_passed = reading == segments.end() || oldest->first < reading->first;
        if (oldest == writing || !is_passed || oldest->second.handed != 0) { break; }
        remove(oldest);
    }
}

void Spool::State::remove(Segments::iterator segment) {
    if (reader_of == segment->first) {
        reader.close();
        reader_of.reset();
    }
    const std::string name = detail::to_string(segment->first);
    if (files.remove(directory.get(), name.c_str()) != 0 && errno != ENOENT) {
        const int error = errno;
        ++counts.io_errors;
        report(DiagnosticLevel::warning, "remove", [&] {
            return fmt::format(
                "spool {}: cannot delete {}: {}; {}", options.directory, name,
                detail::errno_text(error), remedy_for(error));
        });
    }
    resize(segment->second, 0);
    segments.erase(segment);
    counts.segments = segments.size();
}

void Spool::State::resize(Segment& segment, std::uint64_t bytes) noexcept {
    counts.disk_bytes += blocks_of(bytes) - blocks_of(segment.bytes);
    segment.bytes = bytes;
}

void Spool::State::write_failed(std::string_view what, int error, TimePoint now) {
    ++counts.io_errors;
    const bool is_first = !retry_at;
    retry_at = now + retry_interval;
    ++refused;
    if (!is_first) { return; }
    report(DiagnosticLevel::error, "write", [&] {
        return fmt::format(
            "spool {}: cannot {}: {}; batches stay in memory until it works again, which is tried "
            "every second; {}",
            options.directory, what, detail::errno_text(error), remedy_for(error));
    });
}

void Spool::State::write_succeeded() {
    is_full = false;
    if (!retry_at) { return; }
    retry_at.reset();
    const auto missed = std::exchange(refused, 0);
    report(DiagnosticLevel::info, "write", [&] {
        return fmt::format(
            "spool {} works again, after {} refused batches", options.directory, missed);
    });
}

} // namespace weft
