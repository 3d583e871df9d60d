#include "file_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace weft::detail {
namespace {

boost::system::error_code last_error() noexcept {
    return {errno, boost::system::system_category()};
}

// As much as the system takes; EINTR is not an end.
std::size_t write_some(int file, std::string_view text) noexcept {
    std::size_t written = 0;
    while (written < text.size()) { // Bound: each turn writes a byte at least, or is the last.
        const auto n = ::write(file, text.data() + written, text.size() - written);
        if (n < 0 && errno == EINTR) { continue; }
        if (n <= 0) { break; }
        written += static_cast<std::size_t>(n);
    }
    return written;
}

} // namespace

void FileOutput::close() noexcept {
    if (file_ >= 0) { (void)::close(file_); }
    file_ = -1;
}

// I2.
bool FileOutput::is_current() const noexcept {
    struct stat named {};
    struct stat opened {};
    return file_ >= 0 && ::stat(options_.path.c_str(), &named) == 0 &&
           ::fstat(file_, &opened) == 0 && named.st_dev == opened.st_dev &&
           named.st_ino == opened.st_ino;
}

boost::system::error_code FileOutput::open() {
    close();
    // Not blocking: a pipe without a reader is refused, not waited for.
    file_ = ::open(
        options_.path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        S_IRUSR | S_IWUSR);
    if (file_ < 0) { return last_error(); }
    struct stat status {};
    if (::fstat(file_, &status) != 0) { return last_error(); }
    if (!S_ISREG(status.st_mode)) {
        close();
        return make_error_code(boost::system::errc::invalid_seek); // A pipe, a terminal, a folder.
    }
    bytes_ = static_cast<std::size_t>(status.st_size);
    has_lines_ = false;
    char last = '\n';
    if (bytes_ != 0 && ::pread(file_, &last, 1, status.st_size - 1) != 1) { return last_error(); }
    is_torn_ = last != '\n'; // Its writer died within a line.
    return {};
}

bool FileOutput::must_rotate(std::size_t more) const noexcept {
    if (bytes_ == 0) { return false; }
    if (options_.bytes_max != 0 && bytes_ + more > options_.bytes_max) { return true; }
    return options_.age_max.count() != 0 && has_lines_ && now_() - first_line_ >= options_.age_max;
}

// I3. Leaves the file open, for the next write to find that it is not the current one any more.
boost::system::error_code FileOutput::rotate() {
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) { return {}; } // Another process is at it.
    boost::system::error_code error;
    if (is_current()) {
        if (options_.files_max == 0) {
            if (::ftruncate(file_, 0) != 0) { error = last_error(); }
            bytes_ = 0;
            is_torn_ = has_lines_ = false;
        } else {
            const auto numbered = [this](unsigned n) {
                return n == 0 ? options_.path : fmt::format("{}.{}", options_.path, n);
            };
            for (unsigned n = options_.files_max; n > 0; --n) { // Gaps are no error.
                if (std::rename(numbered(n - 1).c_str(), numbered(n).c_str()) != 0 &&
                    errno != ENOENT) {
                    error = last_error();
                }
            }
        }
    }
    (void)::flock(file_, LOCK_UN);
    return error;
}

// I1.
boost::system::error_code FileOutput::append(std::string_view line) {
    const std::size_t written = write_some(file_, line);
    if (written == line.size()) {
        bytes_ += written;
        return {};
    }
    const auto error =
        errno == 0 ? make_error_code(boost::system::errc::no_space_on_device) : last_error();
    if (written == 0) { return error; }
    struct stat status {};
    const bool is_last = ::fstat(file_, &status) == 0 &&
                         static_cast<std::size_t>(status.st_size) == bytes_ + written;
    if (!is_last || ::ftruncate(file_, static_cast<off_t>(bytes_)) != 0) {
        is_torn_ = true;
        bytes_ += written;
    }
    return error;
}

boost::system::error_code FileOutput::write(std::string_view& left) {
    errno = 0;
    if (!is_current()) {
        if (const auto error = open()) { return error; }
    }
    if (must_rotate(left.size())) {
        // A rotation that fails keeps no line out of the file: it is larger than asked for, and tried again.
        const auto rotated = rotate();
        if (!rotated && !is_current()) {
            if (const auto error = open()) { return error; }
        }
    }
    struct stat status {}; // Others may have written since.
    if (::fstat(file_, &status) == 0) { bytes_ = static_cast<std::size_t>(status.st_size); }
    if (is_torn_) {
        if (const auto error = append("\n")) { return error; }
        is_torn_ = false;
    }
    errno = 0;
    if (const auto error = append(left)) { return error; }
    if (!has_lines_) { first_line_ = now_(); }
    has_lines_ = true;
    left = {};
    return {};
}

} // namespace weft::detail
