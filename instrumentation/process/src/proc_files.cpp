#include "proc_files.hpp"

#include <weft/runtime/diagnostics.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

namespace weft::detail {
namespace {

constexpr std::size_t text_bytes_max = 1024 * 1024; // /proc/stat grows with CPUs and interrupts.

} // namespace

const std::string& ProcFiles::path_of(const char* name) {
    return path_.assign(root_).append("/").append(name);
}

const std::string* ProcFiles::text_of(const char* name) {
    const int file = ::open(path_of(name).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) { return nullptr; }
    text_.clear();
    bool good = true;
    int error = 0;
    try {
        // Bound: text_bytes_max.
        while (text_.size() < text_bytes_max) {
            char piece[4096];
            const auto count = ::read(file, piece, sizeof piece);
            if (count < 0 && errno == EINTR) { continue; }
            if (count <= 0) {
                good = count == 0;
                error = errno;
                break;
            }
            text_.append(piece, static_cast<std::size_t>(count));
        }
    } catch (...) {
        ::close(file);
        throw;
    }
    ::close(file);
    errno = error;
    return good ? &text_ : nullptr;
}

void ProcFiles::report(const char* what, int error, bool is_file) noexcept {
    try {
        if (std::exchange(has_reported_[what], true)) { return; }
        const auto whole = is_file ? printable(root_, 200) + "/" + what : std::string(what);
        diagnostics().report(
            DiagnosticLevel::warning, fmt::format("{}_metrics.{}", whose_, whole),
            fmt::format(
                "{}: {}; the {} metrics that come from it are left out", whole,
                error == malformed ? "it is not what proc(5) says"
                                   : std::generic_category().message(error),
                whose_));
    } catch (const std::exception&) {} // No memory to say so.
}

} // namespace weft::detail
