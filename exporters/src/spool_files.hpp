#pragma once
// The disk as a spool sees it: the few calls it makes, and open files that no forked child shares.

#include <weft/runtime/fork.hpp>

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weft::detail {

/// The system's calls with the system's results, errno included; an interrupted call is made again. Virtual so that a
/// test can be a failing disk.
class SpoolFiles {
public:
    SpoolFiles() = default;
    SpoolFiles(const SpoolFiles&) = delete;
    SpoolFiles& operator=(const SpoolFiles&) = delete;
    virtual ~SpoolFiles() = default;

    /// Never follows a link, and never waits for what is no file. Made with mode 0600, whatever the umask.
    virtual int open(int directory, const char* name, int flags) noexcept;
    virtual ssize_t write(
        int file, std::span<const std::byte> bytes, std::uint64_t offset) noexcept;
    virtual ssize_t read(int file, std::span<std::byte> into, std::uint64_t offset) noexcept;
    virtual int sync_data(int file) noexcept;
    virtual int sync_directory(int directory) noexcept;
    virtual int truncate(int file, std::uint64_t bytes) noexcept;
    virtual int remove(int directory, const char* name) noexcept;

    /// Writes all of it. 0, or why not.
    [[nodiscard]] int write_all(
        int file, std::span<const std::byte> bytes, std::uint64_t offset) noexcept;

    /// The system itself.
    [[nodiscard]] static SpoolFiles& system() noexcept;
};

/// An open file, closed at the end of its life, and in a forked child at once.
class SpoolFile {
public:
    SpoolFile() = default;
    SpoolFile(const SpoolFile&) = delete;
    SpoolFile& operator=(const SpoolFile&) = delete;
    ~SpoolFile() { close(); }

    /// Calls `open`, which returns a descriptor or -1. Closes what was open before. Whether it is open now.
    template <class Open>
    bool open(Open&& open) {
        close();
        own_.open([&] { return descriptor_ = open(); });
        return is_open();
    }
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
    [[nodiscard]] int get() const noexcept { return descriptor_; }

private:
    int descriptor_ = -1;
    OwnDescriptor own_;
};

/// Makes a directory with its parents, each with mode 0700. 0, or why not; `made` tells whether it was missing.
[[nodiscard]] int make_directories(const std::string& path, bool& made);

/// The names in a directory, in no order, "." and ".." apart. 0, or why not.
[[nodiscard]] int list_directory(int directory, std::vector<std::string>& names);

/// The whole of a small file, at most `bytes_max` of it; empty if it cannot be read.
[[nodiscard]] std::string read_small_file(
    SpoolFiles& files, int directory, const char* name, std::size_t bytes_max);

/// What the system calls an error.
[[nodiscard]] std::string errno_text(int error);

} // namespace weft::detail
