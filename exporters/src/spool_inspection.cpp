#include "spool_files.hpp"
#include "spool_format.hpp"

#include <weft/exporters/spool_inspection.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace weft {
namespace {

using detail::EntryScanner;

constexpr int depth_max = 4;

void add(SpoolAmount& sum, SpoolAmount amount) noexcept {
    sum.batches += amount.batches;
    sum.records += amount.records;
}

// The kernel's own list of locks, by device and inode. Taking the lock to see would keep an owner out.
int owner_of(int directory) {
    struct stat status {};
    if (::fstat(directory, &status) != 0) { return 0; }
    const std::string wanted = fmt::format(
        "{:02x}:{:02x}:{}", ::major(status.st_dev), ::minor(status.st_dev), status.st_ino);
    std::ifstream locks("/proc/locks");
    std::string line;
    while (std::getline(locks, line)) { // Bound: the locks of the machine.
        std::istringstream words(line);
        std::string number;
        std::string kind;
        std::string advisory;
        std::string mode;
        std::string file;
        int process = 0;
        if (words >> number >> kind >> advisory >> mode >> process >> file && kind == "FLOCK" &&
            file == wanted) {
            return process;
        }
    }
    return 0;
}

class Inspector {
public:
    Inspector(const detail::SpoolFile& directory, SpoolInspection& found)
        : directory_(directory), found_(found) {}

    void run() {
        // The owner goes on meanwhile. What was appended before the first look is in a segment whose name is read, or
        // settled by the second.
        const auto earlier = read_cursor();
        std::vector<std::string> names;
        [[maybe_unused]] const int error = detail::list_directory(directory_.get(), names);
        const auto cursor = read_cursor();
        std::vector<detail::SegmentName> segments;
        for (const auto& name : names) {
            if (const auto segment = detail::parse_segment_name(name)) {
                segments.push_back(*segment);
            }
        }
        std::sort(segments.begin(), segments.end());
        if (cursor) {
            first_waiting_ = cursor->sequence;
            gaps_ = {cursor->sequence, cursor->records_before, {}};
        } else if (!segments.empty()) {
            gaps_ = {segments.front().first, std::nullopt, {}};
        }
        for (std::size_t i = 0; i < segments.size(); ++i) {
            inspect(segments[i], i + 1 == segments.size());
        }
        if (earlier && earlier->next_sequence > gaps_.sequence && !was_deleted_) {
            gaps_.advance(earlier->next_sequence, earlier->records_total);
        }
        found_.lost = gaps_.lost;
        for (const auto& segment : found_.segments) {
            add(found_.waiting, segment.waiting);
            found_.bytes += segment.bytes;
            found_.corrupt_ranges += segment.corrupt_ranges;
            found_.corrupt_bytes += segment.corrupt_bytes;
        }
    }

private:
    std::optional<detail::SpoolCursor> read_cursor() {
        const std::string text = detail::read_small_file(
            files_, directory_.get(), "cursor",
            detail::cursor_slot_distance + detail::cursor_slot_bytes);
        const auto cursor = detail::newest_cursor(std::as_bytes(std::span(text))).cursor;
        found_.is_cursor_readable = cursor.has_value();
        return cursor;
    }

    void inspect(const detail::SegmentName& name, bool is_last) {
        SpoolSegment segment;
        segment.name = detail::to_string(name);
        const auto open = [&] {
            return files_.open(directory_.get(), segment.name.c_str(), O_RDONLY);
        };
        struct stat status {};
        if (!file_.open(open) || ::fstat(file_.get(), &status) != 0) {
            was_deleted_ =
                true; // By its owner, since the names were read: what was in it is settled.
            return;
        }
        segment.bytes = static_cast<std::uint64_t>(status.st_size);
        EntryScanner scanner(
            [this](std::uint64_t offset, std::span<std::byte> into) {
                detail::read_or_zero(files_, file_.get(), into, offset);
            },
            {segment.bytes, name.salt});
        std::uint64_t end = 0;
        for (;;) { // Bound: the segment.
            const auto entry = scanner.next();
            if (!entry || !entry->is_whole) { break; }
            count_corrupt(segment, scanner.skipped_bytes());
            end = entry->end();
            take(segment, *entry);
        }
        if (is_last) {
            found_.torn_bytes = segment.bytes - end;
        } else {
            count_corrupt(segment, segment.bytes - end);
        }
        found_.segments.push_back(std::move(segment));
    }

    void take(SpoolSegment& segment, const EntryScanner::Found& entry) {
        const auto& header = entry.header;
        const bool is_waiting = header.sequence >= first_waiting_;
        body_.resize(header.stored_bytes);
        detail::read_or_zero(files_, file_.get(), body_, entry.offset + detail::entry_header_bytes);
        const bool is_readable = detail::crc_of(body_) == header.stored_crc;
        if (!is_readable) { count_corrupt(segment, entry.end() - entry.offset); }
        if (!is_waiting) {
            if (is_readable) { add(segment.settled, {1, header.records}); }
            return;
        }
        if (header.sequence < gaps_.sequence) { return; } // No owner would send it.
        if (std::exchange(was_deleted_, false)) {
            gaps_.sequence = header.sequence;
            gaps_.records = header.records_before;
        }
        gaps_.advance(header.sequence, header.records_before);
        gaps_.pass(header.records);
        if (!is_readable) { return add(gaps_.lost, {1, header.records}); }
        add(segment.waiting, {1, header.records});
        add(found_.waiting_by_signal[static_cast<std::size_t>(header.signal)], {1, header.records});
        if (found_.oldest_ns == 0) { found_.oldest_ns = header.time_ns; }
    }

    static void count_corrupt(SpoolSegment& segment, std::uint64_t bytes) {
        segment.corrupt_ranges += bytes != 0 ? 1 : 0;
        segment.corrupt_bytes += bytes;
    }

    const detail::SpoolFile& directory_;
    SpoolInspection& found_;
    detail::SpoolFiles files_;
    detail::SpoolFile file_;
    detail::SpoolGaps gaps_;
    std::uint64_t first_waiting_ = 0;
    bool was_deleted_ = false; // What follows the last entry.
    std::vector<std::byte> body_;
};

bool is_spool(const std::filesystem::path& directory) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
        if (entry.path().filename() == "cursor" ||
            detail::parse_segment_name(entry.path().filename().string())) {
            return true;
        }
    }
    return false;
}

void find_below(const std::filesystem::path& directory, int depth, std::vector<std::string>& all) {
    if (is_spool(directory)) { return all.push_back(directory.string()); }
    if (depth == depth_max) { return; }
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
        if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) {
            find_below(entry.path(), depth + 1, all);
        }
    }
}

} // namespace

Result<SpoolInspection> inspect_spool(const std::string& directory) {
    detail::SpoolFile opened;
    const auto open = [&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); };
    if (!opened.open(open)) {
        return boost::system::error_code(errno, boost::system::system_category());
    }
    SpoolInspection found;
    found.directory = directory;
    found.owner = owner_of(opened.get());
    Inspector(opened, found).run();
    return found;
}

std::vector<std::string> find_spools(const std::string& directory) {
    std::vector<std::string> all;
    find_below(directory, 0, all);
    std::sort(all.begin(), all.end());
    return all;
}

} // namespace weft
