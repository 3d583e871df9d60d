#include "spool_folder.hpp"

#include <boost/system/errc.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace weft::detail {
namespace {

constexpr unsigned processes_max = 64;

// Asked first, for a spool reports one that is in use as an error. That it is taken a moment later is no harm: then it does.
bool is_taken(const std::string& folder) noexcept {
    const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) { return false; }
    const bool taken = ::flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)::close(file);
    return taken;
}

} // namespace

std::shared_ptr<Spool> open_spool(
    SpoolOptions options, std::string_view destination, Signal signal, Diagnostics& log) {
    const auto root = std::move(options.directory);
    for (unsigned n = 0; n < processes_max; ++n) {
        options.directory = fmt::format("{}/{}/{}/{}", root, destination, name(signal), n);
        if (is_taken(options.directory)) { continue; }
        auto opened = Spool::open(options, log);
        if (opened) { return std::shared_ptr<Spool>(std::move(*opened)); }
        if (opened.error() != boost::system::errc::device_or_resource_busy) {
            return nullptr; // It has said why.
        }
    }
    log.report(
        DiagnosticLevel::error, "spool.folders",
        fmt::format(
            "spool {}: {} processes have one there already; this one keeps {} in memory only: give "
            "it another SpoolOptions::directory (WEFT_SPOOL_DIR)",
            printable(root, 200), processes_max, name(signal)));
    return nullptr;
}

} // namespace weft::detail
