// The spool's way out: batches in order, whatever has become of the files.
#include "spool_state.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weft {

using detail::entry_header_bytes;
using detail::EntryHeader;
using detail::EntryScanner;

std::optional<Spool::Entry> Spool::State::next() {
    if (!is_owner()) { return std::nullopt; }
    if (auto entry = next_returned()) { return entry; }
    // A returned one that cannot be read now must not be overtaken.
    const bool is_blocked = std::any_of(handed.begin(), handed.end(), [](const Handed& one) {
        return one.is == Handed::Is::returned;
    });
    while (!is_blocked && reading != segments.end()) { // Bound: what is in the files.
        const bool is_at_end = reading == writing && read_offset == reading->second.bytes;
        if (is_at_end && reading->second.unread.batches == 0) { break; }
        if (auto entry = next_kept()) { return entry; }
        std::optional<Entry> entry;
        if (next_on_disk(entry) == Read::not_now) { break; }
        if (entry) { return entry; }
    }
    return std::nullopt;
}

std::optional<Spool::Entry> Spool::State::next_returned() {
    for (Handed& one : handed) { // Bound: what was handed out at one time.
        if (one.is != Handed::Is::returned) { continue; }
        std::shared_ptr<const Batch> batch;
        Read read = open_for_reading(one.segment);
        if (read == Read::done) {
            detail::EntryHeaderBytes bytes{};
            read_bytes(one.offset, bytes);
            const auto header = detail::decode_entry_header(bytes, one.segment.salt);
            read = header && header->sequence == one.id ? read_batch(*header, one.offset, batch)
                                                        : Read::destroyed;
        }
        if (read == Read::not_now) { return std::nullopt; }
        if (read == Read::done) {
            one.is = Handed::Is::out;
            move({1, one.records}, counts.waiting, counts.handed_out);
            return Entry{one.id, std::move(batch)};
        }
        ++counts.corrupt_ranges;
        move({1, one.records}, counts.waiting, counts.lost);
        one.is = Handed::Is::settled;
        if (const auto segment = segments.find(one.segment); segment != segments.end()) {
            --segment->second.handed;
        }
        report(DiagnosticLevel::error, "corrupt", [&] {
            return fmt::format(
                "spool {}: a batch of {} records is not readable any more and is lost",
                options.directory, one.records);
        });
    }
    drop_settled();
    return std::nullopt;
}

std::optional<Spool::Entry> Spool::State::next_kept() {
    while (!kept.empty() && kept.front().id < read_sequence) { // Bound: what is kept.
        kept_bytes -= kept.front().batch->body.size();
        kept.pop_front();
    }
    if (kept.empty() || kept.front().segment != reading->first ||
        kept.front().offset != read_offset) {
        return std::nullopt;
    }
    const Kept& front = kept.front();
    Entry entry{front.id, front.batch};
    hand_out(
        {.id = front.id,
         .records_before = front.records_before,
         .segment = front.segment,
         .offset = front.offset,
         .records = front.batch->records},
        front.end);
    kept_bytes -= entry.batch->body.size();
    kept.pop_front();
    return entry;
}

// Takes one step in `reading`: to the next batch, past what is corrupt, or into the next segment.
Spool::State::Read Spool::State::next_on_disk(std::optional<Entry>& entry) {
    if (const Read read = open_for_reading(reading->first); read != Read::done) {
        if (read == Read::destroyed) { pass_segment(); }
        return read;
    }
    EntryScanner scanner(
        [this](std::uint64_t offset, std::span<std::byte> into) { read_bytes(offset, into); },
        {reading->second.bytes, reading->first.salt}, read_offset);
    const auto found = scanner.next();
    pass_corrupt(scanner.skipped_bytes());
    if (!found) {
        read_offset = scanner.offset();
        pass_segment();
        return Read::done;
    }
    if (!found->is_whole) {
        pass_corrupt(reading->second.bytes - found->offset);
        read_offset = scanner.offset();
        return Read::destroyed;
    }
    const EntryHeader& header = found->header;
    if (header.sequence < read_sequence) { // Settled before the restart.
        read_offset = found->end();
        return Read::done;
    }
    std::shared_ptr<const Batch> batch;
    const Read read = read_batch(header, found->offset, batch);
    if (read == Read::not_now) { return read; }
    const Handed one{
        .id = header.sequence,
        .records_before = header.records_before,
        .segment = reading->first,
        .offset = found->offset,
        .records = header.records};
    if (read == Read::destroyed) {
        pass_corrupt(found->end() - found->offset);
        pass_entry(one, found->end(), counts.lost);
        report(DiagnosticLevel::error, "corrupt", [&] {
            return fmt::format(
                "spool {}: a batch of {} records is corrupt and is lost", options.directory,
                header.records);
        });
        return read;
    }
    hand_out(one, found->end());
    entry = Entry{header.sequence, std::move(batch)};
    return Read::done;
}

// `destroyed`: the file is gone. Whatever else keeps it from being opened may pass.
Spool::State::Read Spool::State::open_for_reading(const detail::SegmentName& segment) {
    if (reader_of == segment) { return Read::done; }
    reader_of.reset();
    const std::string name = detail::to_string(segment);
    const auto open = [&] { return files.open(directory.get(), name.c_str(), O_RDONLY); };
    if (reader.open(open)) {
        reader_of = segment;
        return Read::done;
    }
    const int error = errno;
    ++counts.io_errors;
    report(DiagnosticLevel::error, "read", [&] {
        return fmt::format(
            "spool {}: cannot open {}: {}", options.directory, name, detail::errno_text(error));
    });
    return error == ENOENT ? Read::destroyed : Read::not_now;
}

Spool::State::Read Spool::State::read_batch(
    const EntryHeader& header, std::uint64_t offset, std::shared_ptr<const Batch>& batch) {
    buffer.resize(header.stored_bytes);
    read_bytes(offset + entry_header_bytes, buffer);
    auto made = std::make_shared<Batch>();
    made->signal = header.signal;
    made->records = header.records;
    const bool is_restored = coder.restore(header, buffer, made->body);
    release_buffer();
    if (!is_restored) { return Read::destroyed; }
    batch = std::move(made);
    return Read::done;
}

// What cannot be read is zeros, which are neither a header nor what a checksum says.
void Spool::State::read_bytes(std::uint64_t offset, std::span<std::byte> into) {
    while (!into.empty()) { // Bound: each turn reads at least a byte or is the last.
        const ssize_t got = files.read(reader.get(), into, offset);
        if (got <= 0) {
            std::fill(into.begin(), into.end(), std::byte{});
            if (got < 0) { ++counts.io_errors; }
            return;
        }
        into = into.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
}

void Spool::State::hand_out(const Handed& entry, std::uint64_t end) {
    handed.push_back(entry);
    ++reading->second.handed;
    pass_entry(entry, end, counts.handed_out);
}

void Spool::State::pass_entry(const Handed& entry, std::uint64_t end, SpoolAmount& to) {
    const SpoolAmount amount{1, entry.records};
    SpoolAmount& unread = reading->second.unread;
    // One that could not be read when the spool was opened, and now can.
    if (unread.batches == 0 || unread.records < amount.records) {
        for (auto* sum : {&unread, &counts.resumed, &counts.waiting}) { add(*sum, amount); }
    }
    unread.batches -= amount.batches;
    unread.records -= amount.records;
    move(amount, counts.waiting, to);
    read_offset = end;
    read_sequence = entry.id + 1;
    read_records = entry.records_before + entry.records;
    if (reading != writing && read_offset >= reading->second.bytes) { pass_segment(); }
}

// Counts what was not counted when the spool was opened.
void Spool::State::pass_corrupt(std::uint64_t bytes) {
    Segment& segment = reading->second;
    segment.corrupt_bytes_passed += bytes;
    if (bytes == 0 || segment.corrupt_bytes_passed <= segment.corrupt_bytes) { return; }
    ++counts.corrupt_ranges;
    counts.corrupt_bytes += segment.corrupt_bytes_passed - segment.corrupt_bytes;
    segment.corrupt_bytes = segment.corrupt_bytes_passed;
}

// The reader has seen all there is of `reading`: what the headers promised when they were last seen, and is not there,
// is lost (I4). The one that is written to may get more.
void Spool::State::pass_segment() {
    Segment& segment = reading->second;
    if (segment.unread.batches != 0) {
        const SpoolAmount gone = std::exchange(segment.unread, {});
        move(gone, counts.waiting, counts.lost);
        report(DiagnosticLevel::error, "corrupt", [&] {
            return fmt::format(
                "spool {}: {} batches of {} records are not readable any more and are lost",
                options.directory, gone.batches, gone.records);
        });
    }
    read_sequence = std::max(read_sequence, segment.next_sequence);
    read_records = std::max(read_records, segment.next_records);
    if (reading == writing) {
        read_offset = segment.bytes;
        return;
    }
    ++reading;
    read_offset = 0;
}

void Spool::State::acknowledge(std::uint64_t id, TimePoint now) {
    if (!is_owner()) { return; }
    const auto one = std::lower_bound(
        handed.begin(), handed.end(), id,
        [](const Handed& candidate, std::uint64_t wanted) { return candidate.id < wanted; });
    if (one == handed.end() || one->id != id || one->is == Handed::Is::settled) { return; }
    move(
        {1, one->records}, one->is == Handed::Is::out ? counts.handed_out : counts.waiting,
        counts.settled);
    one->is = Handed::Is::settled;
    if (one->is_on_disk) { --segments.find(one->segment)->second.handed; }
    drop_settled();
    move_cursor();
    want_sync(now);
    if (!options.sync) { release_segments(); }
}

void Spool::State::drop_settled() {
    while (!handed.empty() && handed.front().is == Handed::Is::settled) { handed.pop_front(); }
}

void Spool::State::put_back_all() {
    if (!is_owner()) { return; }
    for (Handed& one : handed) {
        if (one.is != Handed::Is::out) { continue; }
        one.is = one.is_on_disk ? Handed::Is::returned : Handed::Is::settled;
        move(
            {1, one.records}, counts.handed_out,
            one.is_on_disk ? counts.waiting : counts.dropped_full);
    }
    drop_settled();
}

} // namespace weft
