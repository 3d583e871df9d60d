// How a spool comes to be somebody's, and what is made of what the previous owner left.
#include "spool_state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace weft {

using boost::system::error_code;
using detail::EntryScanner;

namespace {

constexpr const char* owner_name = "owner";
constexpr const char* cursor_name = "cursor";

error_code to_error(int error) { return {error, boost::system::system_category()}; }

// Nothing if it is not a file of our own.
std::optional<std::uint64_t> size_of(int file) noexcept {
    struct stat status {};
    const bool is_own =
        ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid();
    if (!is_own) { return std::nullopt; }
    return static_cast<std::uint64_t>(status.st_size);
}

} // namespace

error_code Spool::State::open() {
    if (const auto error = take_possession()) { return error; }
    note_owner();
    read_cursor();
    find_segments();
    resume();
    report_resumption();
    return {};
}

error_code Spool::State::fail_open(std::string_view what, int error) {
    report(DiagnosticLevel::error, "open", [&] {
        return fmt::format(
            "spool {} cannot be {}: {}; give SpoolOptions::directory (WEFT_SPOOL_DIR) a place on a "
            "local disk that this user may write to",
            options.directory, what, detail::errno_text(error));
    });
    return to_error(error);
}

error_code Spool::State::take_possession() {
    bool made = false;
    if (const int error = detail::make_directories(options.directory, made); error != 0) {
        return fail_open("made", error);
    }
    const auto open = [&] {
        return ::open(options.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    };
    if (!directory.open(open)) { return fail_open("opened", errno); }
    struct stat status {};
    if (::fstat(directory.get(), &status) != 0) { return fail_open("looked at", errno); }
    if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        report(DiagnosticLevel::error, "open", [&] {
            return fmt::format(
                "spool {} belongs to user {} and has mode {:o}: it must belong to user {}, who "
                "runs "
                "this, and be writable by nobody else; chown and chmod 700 it, or set another",
                options.directory, status.st_uid, status.st_mode & 07777, ::geteuid());
        });
        return to_error(EACCES);
    }
    // On the directory itself: that needs no room on the disk, and no permission to write.
    if (::flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? in_use() : fail_open("locked", errno);
    }
    if (made && options.sync) {
        detail::SpoolFile parent;
        const auto open_parent = [&] {
            return ::openat(directory.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        };
        if (parent.open(open_parent) && files.sync_directory(parent.get()) != 0) {
            ++counts.io_errors;
        }
    }
    return {};
}

error_code Spool::State::in_use() {
    report(DiagnosticLevel::error, "open", [&] {
        const auto note = detail::read_small_file(files, directory.get(), owner_name, 16);
        int owner = 0;
        std::from_chars(note.data(), note.data() + note.size(), owner);
        const std::string by = owner == process ? "this process itself"
                               : owner > 0      ? fmt::format("process {}", owner)
                                                : "another process";
        return fmt::format(
            "spool {} is in use by {}; give each process a directory of its own", options.directory,
            by);
    });
    return to_error(EBUSY);
}

// For people, and for in_use(); the lock does not depend on it.
void Spool::State::note_owner() {
    detail::SpoolFile note;
    const auto open = [&] {
        return files.open(directory.get(), owner_name, O_WRONLY | O_CREAT | O_TRUNC);
    };
    if (!note.open(open)) { return; }
    const std::string text = fmt::format("{}\n", process);
    [[maybe_unused]] const int error =
        files.write_all(note.get(), std::as_bytes(std::span(text)), 0);
}

void Spool::State::read_cursor() {
    const std::string text = detail::read_small_file(
        files, directory.get(), cursor_name,
        detail::cursor_slot_distance + detail::cursor_slot_bytes);
    if (text.empty()) { return; }
    const auto newest = detail::newest_cursor(std::as_bytes(std::span(text)));
    bad_slots = newest.unreadable;
    cursor_is_known = newest.cursor.has_value();
    if (newest.cursor) { cursor = *newest.cursor; }
    counts.corrupt_ranges += static_cast<std::uint64_t>(bad_slots);
    counts.corrupt_bytes += static_cast<std::uint64_t>(bad_slots) * detail::cursor_slot_bytes;
    if (!cursor_is_known) {
        report(DiagnosticLevel::warning, "corrupt", [&] {
            return fmt::format(
                "spool {}: the note of what has been sent is not readable; some of it is sent "
                "again",
                options.directory);
        });
    }
}

void Spool::State::find_segments() {
    std::vector<std::string> names;
    if (const int error = detail::list_directory(directory.get(), names); error != 0) {
        ++counts.io_errors;
        report(DiagnosticLevel::error, "read", [&] {
            return fmt::format(
                "spool {} cannot be listed: {}", options.directory, detail::errno_text(error));
        });
    }
    for (const auto& name : names) {
        if (const auto segment = detail::parse_segment_name(name)) {
            find_segment(*segment);
        } else if (detail::is_foreign_segment(name)) {
            report(DiagnosticLevel::warning, "format", [&] {
                return fmt::format(
                    "spool {}: {} is of another version and stays as it is; send it with the "
                    "program that wrote it",
                    options.directory, printable(name, 100));
            });
        }
    }
}

void Spool::State::find_segment(const detail::SegmentName& name) {
    std::optional<std::uint64_t> bytes;
    if (open_for_reading(name) == Read::done) { bytes = size_of(reader.get()); }
    if (!bytes) { return leave_alone(name); }
    next_sequence = std::max(next_sequence, name.first);
    const auto segment = segments.try_emplace(name).first;
    segment->second.next_sequence = name.first;
    resize(segment->second, *bytes);
    counts.segments = segments.size();
}

// It stays. The numbers of its batches must not be given again; more of them than headers can there not be.
void Spool::State::leave_alone(const detail::SegmentName& name) {
    constexpr std::uint64_t batches_max = (1u << 30) / detail::entry_header_bytes;
    next_sequence = std::max(next_sequence, name.first + batches_max);
    report(DiagnosticLevel::error, "read", [&] {
        return fmt::format(
            "spool {}: {} cannot be read or is not this user's own file; it stays as it is",
            options.directory, detail::to_string(name));
    });
}

// How far the sequence has been followed.
struct Spool::State::Resumption : detail::SpoolGaps {
    bool has_unread = false;
    std::uint64_t first_unread = 0;
    std::uint64_t first_unread_records = 0;
};

void Spool::State::resume() {
    Resumption so_far;
    if (cursor_is_known) {
        so_far.sequence = cursor.sequence;
        so_far.records = cursor.records_before;
    } else if (!segments.empty()) {
        so_far.sequence = segments.begin()->first.first;
        so_far.records.reset();
    }
    reading = segments.end();
    for (auto segment = segments.begin(); segment != segments.end();) {
        const auto following = std::next(segment);
        const bool is_last = following == segments.end();
        const bool is_settled =
            cursor_is_known && !is_last && following->first.first <= cursor.sequence;
        if (is_settled || segment->second.bytes == 0) {
            remove(segment);
        } else {
            resume_segment(segment, is_last, so_far);
        }
        segment = following;
    }
    if (cursor_is_known && cursor.next_sequence > so_far.sequence) {
        so_far.advance(cursor.next_sequence, cursor.records_total);
    }
    next_sequence = std::max(next_sequence, so_far.sequence);
    records_total = so_far.records.value_or(0);
    read_sequence = so_far.has_unread ? so_far.first_unread : next_sequence;
    read_records = so_far.has_unread ? so_far.first_unread_records : records_total;
    counts.lost = so_far.lost;
    counts.resumed = so_far.lost;
    for (auto segment = segments.begin(); segment != segments.end(); ++segment) {
        if (segment->second.unread.batches == 0) { continue; }
        if (reading == segments.end()) { reading = segment; }
        add(counts.waiting, segment->second.unread);
        add(counts.resumed, segment->second.unread);
    }
    // Both slots, so that no later note needs room on the disk.
    if (bad_slots != 0 || !cursor_is_known) { write_cursor(read_sequence, read_records); }
    if (!cursor_is_known) { write_cursor(read_sequence, read_records); }
    sync();
}

void Spool::State::resume_segment(Segments::iterator segment, bool is_last, Resumption& so_far) {
    if (open_for_reading(segment->first) != Read::done) {
        leave_alone(segment->first);
        resize(segment->second, 0);
        segments.erase(segment);
        return;
    }
    Segment& here = segment->second;
    EntryScanner scanner(
        [this](std::uint64_t offset, std::span<std::byte> into) { read_bytes(offset, into); },
        {here.bytes, segment->first.salt});
    const auto count_corrupt = [&](std::uint64_t bytes) {
        if (bytes == 0) { return; }
        ++counts.corrupt_ranges;
        counts.corrupt_bytes += bytes;
        here.corrupt_bytes += bytes;
    };
    std::uint64_t end = 0; // Of the last whole entry.
    for (;;) {             // Bound: the segment.
        const auto found = scanner.next();
        if (!found || !found->is_whole) { break; }
        count_corrupt(scanner.skipped_bytes());
        end = found->end();
        const detail::EntryHeader& header = found->header;
        if (header.sequence < so_far.sequence) { continue; } // Settled.
        so_far.advance(header.sequence, header.records_before);
        if (!std::exchange(so_far.has_unread, true)) {
            so_far.first_unread = header.sequence;
            so_far.first_unread_records = header.records_before;
        }
        add(here.unread, {1, header.records});
        so_far.pass(header.records);
    }
    here.next_sequence = std::max(here.next_sequence, so_far.sequence);
    here.next_records = so_far.records.value_or(0);
    if (end == here.bytes) { return; }
    const bool was_accepted =
        !is_last || (cursor_is_known && cursor.next_sequence > so_far.sequence);
    if (was_accepted) {
        count_corrupt(here.bytes - end);
    } else {
        counts.torn_bytes += here.bytes - end;
        cut_tail(segment, end);
    }
}

// So that the next owner does not count it again. Where the disk refuses, it does.
void Spool::State::cut_tail(Segments::iterator segment, std::uint64_t bytes) {
    if (bytes == 0) { return remove(segment); }
    detail::SpoolFile file;
    const std::string name = detail::to_string(segment->first);
    const auto open = [&] { return files.open(directory.get(), name.c_str(), O_WRONLY); };
    if (!file.open(open) || files.truncate(file.get(), bytes) != 0) { ++counts.io_errors; }
    resize(segment->second, bytes);
}

void Spool::State::report_resumption() const {
    if (counts.waiting.batches != 0) {
        report(DiagnosticLevel::info, "resumed", [&] {
            return fmt::format(
                "spool {}: {} batches of {} records are left from before and are sent first",
                options.directory, counts.waiting.batches, counts.waiting.records);
        });
    }
    if (counts.lost.batches == 0 && counts.corrupt_ranges == 0) { return; }
    report(DiagnosticLevel::error, "corrupt", [&] {
        return fmt::format(
            "spool {} is corrupt in {} places of {} bytes: {} batches of {} records are known to "
            "be "
            "lost",
            options.directory, counts.corrupt_ranges, counts.corrupt_bytes, counts.lost.batches,
            counts.lost.records);
    });
}

} // namespace weft
