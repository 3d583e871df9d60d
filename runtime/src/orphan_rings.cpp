#include <weft/runtime/orphan_rings.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <new>
#include <utility>

namespace weft {
namespace {

constexpr std::string_view suffix = ".ring";
constexpr std::string_view incomplete_suffix = ".new";
// A folder that holds more is not ours.
constexpr std::size_t names_max = 4096;

bool is_ring_name(std::string_view name) noexcept {
    return name.size() > suffix.size() && name.front() != '.' && name.ends_with(suffix);
}

// Reads all of it or fails.
bool read_all(int file, std::uint64_t place, std::span<std::byte> to) noexcept {
    while (!to.empty()) { // Bound: each turn reads something.
        const auto bytes = pread(file, to.data(), to.size(), static_cast<off_t>(place));
        if (bytes < 0 && errno == EINTR) { continue; }
        if (bytes <= 0) { return false; }
        to = to.subspan(static_cast<std::size_t>(bytes));
        place += static_cast<std::uint64_t>(bytes);
    }
    return true;
}

// What a process left that died while it made a file. A minute: so that nobody is at it.
void remove_incomplete(int directory, const std::string& name) noexcept {
    struct stat status {};
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) { return; }
    if (status.st_uid != geteuid() || !S_ISREG(status.st_mode)) { return; }
    if (time(nullptr) - status.st_mtime > 60) { (void)unlinkat(directory, name.c_str(), 0); }
}

template <class Visit>
void for_each_name(int directory, Visit&& visit) {
    // A copy, for closedir closes it; its position begins anew.
    const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const list = copy >= 0 ? fdopendir(copy) : nullptr;
    if (list == nullptr) {
        if (copy >= 0) { close(copy); }
        return;
    }
    struct Closed {
        DIR* list;
        ~Closed() { closedir(list); }
    } const closed{list};
    std::size_t names = 0;
    while (const dirent* entry = readdir(list)) { // Bound: names_max.
        if (++names > names_max) { break; }
        visit(std::string(entry->d_name));
    }
}

} // namespace

OrphanFile::OrphanFile(int directory, const std::string& name, Purpose purpose)
    : name_(name), directory_(fcntl(directory, F_DUPFD_CLOEXEC, 0)) {
    own_directory_.open([this] { return directory_; });
    own_.open([&] {
        const int flags =
            (purpose == Purpose::adopt ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        return descriptor_ = openat(directory_, name_.c_str(), flags);
    });
    struct stat status {};
    if (descriptor_ < 0 || fstat(descriptor_, &status) != 0) { return; }
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) { return; }
    bytes_ = static_cast<std::uint64_t>(status.st_size);
    state_ = State::alive;
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) { return; }
    // Whoever had the lock until now may have deleted it meanwhile.
    state_ = fstat(descriptor_, &status) == 0 && status.st_nlink != 0 ? State::orphan : State::gone;
    if (purpose == Purpose::inspect) { (void)flock(descriptor_, LOCK_UN); }
}

OrphanFile::~OrphanFile() {
    own_.close(
        [this] {
            if (descriptor_ >= 0) { close(descriptor_); }
        },
        [] {});
    own_directory_.close(
        [this] {
            if (directory_ >= 0) { close(directory_); }
        },
        [] {});
}

RingImage::ReadAt OrphanFile::reader() const {
    return [file = descriptor_](std::uint64_t place, std::span<std::byte> to) {
        return read_all(file, place, to);
    };
}

void OrphanFile::settle(std::uint64_t place, std::uint64_t word) noexcept {
    (void)!pwrite(descriptor_, &word, sizeof word, static_cast<off_t>(place));
}

void OrphanFile::remove() noexcept { (void)unlinkat(directory_, name_.c_str(), 0); }

std::vector<std::string> ring_file_names(int directory) {
    std::vector<std::string> names;
    for_each_name(directory, [&](std::string name) {
        if (is_ring_name(name)) { names.push_back(std::move(name)); }
    });
    std::sort(names.begin(), names.end());
    return names;
}

AdoptedRecords::Report AdoptedRecords::adopt(
    const std::string& directory, RecordTranslator& translator, const Limits& limits) {
    Report report;
    const int opened =
        open_ring_directory(directory.empty() ? default_ring_directory() : directory);
    struct Closed {
        int descriptor;
        ~Closed() { close(descriptor); }
    } const folder{opened};
    for_each_name(opened, [&](const std::string& name) {
        if (name.front() == '.' && name.ends_with(incomplete_suffix)) {
            remove_incomplete(opened, name);
        }
    });
    std::uint64_t bytes = 0;
    for (const auto& name : ring_file_names(opened)) {
        auto orphan = std::make_unique<OrphanFile>(opened, name);
        if (orphan->state() != OrphanFile::State::orphan) { continue; }
        const auto read_at = orphan->reader();
        std::string problem;
        const auto image = RingImage::read(orphan->file_bytes(), read_at, problem);
        if (!image) {
            ++report.unreadable;
            continue;
        }
        if (!translator.begin(*image)) { continue; }
        const auto unsettled = image->unsettled_bytes(read_at);
        if (files_.size() >= limits.files_max || unsettled > limits.bytes_max - bytes) {
            ++report.left_behind;
            continue;
        }
        bytes += unsettled;
        const auto records_before = records_.size();
        try {
            adopt_file(std::move(orphan), *image, translator, report);
        } catch (...) {
            records_.resize(records_before); // Its file stays.
            throw;
        }
        // release: as ByteRing's E4.
        accepted_.store(records_.size(), std::memory_order_release);
    }
    return report;
}

void AdoptedRecords::adopt_file(
    std::unique_ptr<OrphanFile> orphan, const RingImage& image, RecordTranslator& translator,
    Report& report) {
    auto made = std::make_unique<File>();
    const auto read_at = orphan->reader();
    std::uint64_t lost = 0;
    const auto records_before = records_.size();
    for (std::uint32_t shard = 0; shard < image.header().shards; ++shard) {
        auto ring = image.read_ring(shard, read_at);
        std::uint64_t damaged = 0;
        const auto found = image.scan(ring, [&](std::span<std::byte> payload, std::uint64_t word) {
            if (!translator.translate(payload)) {
                ++damaged;
                return;
            }
            records_.push_back(
                {static_cast<std::uint32_t>(files_.size()), shard,
                 static_cast<std::size_t>(payload.data() - ring.bytes.data()), payload.size(), word,
                 false});
        });
        lost += found.half_written + damaged + (ring.is_damaged ? 1 : 0);
        made->rings.push_back(std::move(ring.bytes));
        made->settled_at.push_back(image.settled_at(shard));
    }
    const auto records = records_.size() - records_before;
    if (records == 0) {
        orphan->remove();
    } else {
        records_.back().is_last = true;
        made->file = std::move(orphan);
        files_.push_back(std::move(made));
    }
    ++report.files;
    report.lost += lost;
    report.records += records;
}

void AdoptedRecords::release(std::size_t records) noexcept {
    for (; records != 0 && released_ < next_; --records) { // Bound: what was consumed.
        const Record& record = records_[released_++];
        File& file = *files_[record.file];
        if (record.is_last) {
            file.file->remove();
            file.file.reset();
            file.rings.clear();
            continue;
        }
        const bool more = records > 1 && released_ < next_;
        const Record* const next = more ? &records_[released_] : nullptr;
        const bool same = next != nullptr && next->file == record.file && next->ring == record.ring;
        if (!same) { file.file->settle(file.settled_at[record.ring], record.settled); }
    }
    if (released_ == records_.size() && !records_.empty()) {
        // The indexes stay: they are counts.
        std::vector<Record>().swap(records_);
    }
}

void AdoptedRecords::let_go() noexcept {
    records_.clear();
    released_ = next_ = 0;
    files_.clear();
}

} // namespace weft
