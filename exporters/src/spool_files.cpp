#include "spool_files.hpp"

#include <boost/system/error_code.hpp>
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <memory>

namespace weft::detail {
namespace {

// Interruptions come from the host's signals; each call makes some way or none, so this ends.
template <class Call>
auto uninterrupted(Call&& call) noexcept {
    auto result = call();
    while (result < 0 && errno == EINTR) { result = call(); }
    return result;
}

off_t to_offset(std::uint64_t bytes) noexcept { return static_cast<off_t>(bytes); }

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

} // namespace

int SpoolFiles::open(int directory, const char* name, int flags) noexcept {
    const int file = uninterrupted([&] {
        return ::openat(
            directory, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    });
    // Against a umask that takes the owner's own bits away. The file is new or our own.
    if (file >= 0 && (flags & O_CREAT) != 0) {
        [[maybe_unused]] const int done = ::fchmod(file, 0600);
    }
    return file;
}

ssize_t SpoolFiles::write(
    int file, std::span<const std::byte> bytes, std::uint64_t offset) noexcept {
    // Beyond the process's limit on file sizes a write would raise SIGXFSZ, which ends a host that does not expect it.
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        offset + bytes.size() > limit.rlim_cur) {
        errno = EFBIG;
        return -1;
    }
    return uninterrupted(
        [&] { return ::pwrite(file, bytes.data(), bytes.size(), to_offset(offset)); });
}

ssize_t SpoolFiles::read(int file, std::span<std::byte> into, std::uint64_t offset) noexcept {
    return uninterrupted(
        [&] { return ::pread(file, into.data(), into.size(), to_offset(offset)); });
}

int SpoolFiles::sync_data(int file) noexcept {
    return uninterrupted([&] { return ::fdatasync(file); });
}
int SpoolFiles::sync_directory(int directory) noexcept {
    return uninterrupted([&] { return ::fsync(directory); });
}
int SpoolFiles::truncate(int file, std::uint64_t bytes) noexcept {
    return uninterrupted([&] { return ::ftruncate(file, to_offset(bytes)); });
}
int SpoolFiles::remove(int directory, const char* name) noexcept {
    return ::unlinkat(directory, name, 0);
}

int SpoolFiles::write_all(
    int file, std::span<const std::byte> bytes, std::uint64_t offset) noexcept {
    while (!bytes.empty()) { // Bound: each turn writes at least a byte or is the last.
        const ssize_t written = write(file, bytes, offset);
        if (written < 0) { return errno; }
        if (written == 0) { return ENOSPC; }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return 0;
}

SpoolFiles& SpoolFiles::system() noexcept {
    static SpoolFiles files;
    return files;
}

void SpoolFile::close() noexcept {
    if (!is_open()) { return; }
    own_.close([this] { ::close(descriptor_); }, [] {});
    descriptor_ = -1;
}

int make_directories(const std::string& path, bool& made) {
    made = false;
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) { return S_ISDIR(status.st_mode) ? 0 : ENOTDIR; }
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) { // Bound: its parts.
        const std::string part = path.substr(0, end);
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
            const int error = errno;
            // Where a parent may not be written to, it may still be there.
            if (::stat(part.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) { return error; }
        }
        if (end == std::string::npos) { break; }
    }
    made = true;
    return 0;
}

int list_directory(int directory, std::vector<std::string>& names) {
    const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) { return errno; }
    const std::unique_ptr<DIR, CloseDirectory> stream(::fdopendir(copy));
    if (!stream) {
        const int error = errno;
        ::close(copy);
        return error;
    }
    for (;;) { // Bound: the entries of the directory.
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) { return errno; }
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") { names.emplace_back(name); }
    }
}

std::string read_small_file(
    SpoolFiles& files, int directory, const char* name, std::size_t bytes_max) {
    SpoolFile file;
    if (!file.open([&] { return files.open(directory, name, O_RDONLY); })) { return {}; }
    std::string text(bytes_max, '\0');
    const ssize_t got =
        files.read(file.get(), std::as_writable_bytes(std::span(text.data(), text.size())), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

std::string errno_text(int error) {
    return boost::system::error_code(error, boost::system::system_category()).message();
}

} // namespace weft::detail
