// Question: how many bytes of records does the spool take in a second, and give back? Goal: batches of 512 spans with
// ids of their own, forced to disk every 100 ms as by default, in the folder for temporary files, which should be on a
// disk. The floor is a plain write of the same bytes to one file, forced to disk as often.
#include "cases.hpp"

#include <weft/exporters/batch_builder.hpp>
#include <weft/exporters/spool.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

namespace weft::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t bytes_per_run = 48u << 20;
constexpr std::chrono::milliseconds window{100};

class Folder {
public:
    Folder() {
        path_ = (std::filesystem::temp_directory_path() / "weft-bench-spool-XXXXXX").string();
        if (mkdtemp(path_.data()) == nullptr) { throw std::runtime_error("no folder " + path_); }
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

// 512 spans of four attributes as spans really leave them.
const std::shared_ptr<const Batch>& batch() {
    static const std::shared_ptr<const Batch> made = [] {
        static detail::TraceProvider provider(Sampler::always_on(), SpanLimits{}, 1u << 20, 1);
        // release: what Runtime does when it becomes the default; the same when it ends.
        auto* const before =
            detail::default_provider.exchange(&provider, std::memory_order_acq_rel);
        for (int i = 0; i < 512; ++i) {
            Span span(
                shape::child_name, {{shape::method_key, shape::method},
                                    {shape::route_key, shape::route},
                                    {shape::status_key, shape::status},
                                    {shape::address_key, shape::address}});
        }
        detail::default_provider.store(before, std::memory_order_release); // As above.
        BatchBuilder builder(Signal::traces, {.message = std::string(300, 'r'), .schema_url = {}});
        provider.queue.consume([&](std::span<const std::byte> payload) {
            Record record;
            std::memcpy(&record.header, payload.data(), sizeof record.header);
            record.body = payload.subspan(sizeof record.header);
            builder.add(record);
            return true;
        });
        return builder.finish();
    }();
    return made;
}

std::size_t batches_per_run() { return bytes_per_run / batch()->body.size(); }

double mb_per_s(Clock::duration elapsed) {
    const auto bytes = static_cast<double>(batches_per_run() * batch()->body.size());
    return bytes / 1e6 / std::chrono::duration<double>(elapsed).count();
}

std::unique_ptr<Spool> open(const Folder& folder, std::size_t memory_bytes_max) {
    SpoolOptions options;
    options.directory = folder.path();
    options.memory_bytes_max = memory_bytes_max;
    auto spool = Spool::open(std::move(options));
    if (!spool) { throw std::system_error(std::error_code(spool.error())); }
    return std::move(*spool);
}

void append_all(Spool& spool) {
    for (std::size_t i = 0; i < batches_per_run(); ++i) {
        if (spool.append(batch()) != Spool::Append::written) {
            throw std::runtime_error("the spool took no more");
        }
        spool.sync_if_due();
    }
}

double write_rate() {
    const Folder folder;
    const auto spool = open(folder, 0);
    const auto begin = Clock::now();
    append_all(*spool);
    spool->sync_if_due(Clock::time_point::max());
    return mb_per_s(Clock::now() - begin);
}

double read_rate() {
    const Folder folder;
    const auto spool = open(folder, 0);
    append_all(*spool);
    const auto begin = Clock::now();
    std::size_t batches = 0;
    while (const auto entry = spool->next()) {
        keep(entry->batch->body.data());
        spool->acknowledge(entry->id);
        spool->sync_if_due();
        ++batches;
    }
    if (batches != batches_per_run()) { throw std::runtime_error("batches are missing"); }
    return mb_per_s(Clock::now() - begin);
}

// What a destination that keeps up costs: nothing is read back.
double write_and_settle_rate() {
    const Folder folder;
    const auto spool = open(folder, 4u << 20);
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < batches_per_run(); ++i) {
        const auto written = spool->append(batch());
        const auto entry = spool->next();
        if (written != Spool::Append::written || !entry) {
            throw std::runtime_error("the spool took no more");
        }
        spool->acknowledge(entry->id);
        spool->sync_if_due();
    }
    spool->sync_if_due(Clock::time_point::max());
    return mb_per_s(Clock::now() - begin);
}

double plain_write_rate() {
    const Folder folder;
    const int file =
        ::open((folder.path() + "/plain").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) { throw std::system_error(errno, std::generic_category(), "open"); }
    const auto& body = batch()->body;
    const auto begin = Clock::now();
    auto synced = begin;
    bool is_written = true;
    for (std::size_t i = 0; i < batches_per_run() && is_written; ++i) {
        is_written = ::write(file, body.data(), body.size()) == static_cast<ssize_t>(body.size());
        if (Clock::now() - synced < window) { continue; }
        is_written = is_written && ::fdatasync(file) == 0;
        synced = Clock::now();
    }
    is_written = is_written && ::fdatasync(file) == 0;
    const auto elapsed = Clock::now() - begin;
    ::close(file);
    if (!is_written) { throw std::runtime_error("the plain file took no more"); }
    return mb_per_s(elapsed);
}

} // namespace

void add_spool_cases(Suite& suite) {
    suite.add_value("spool_mb_per_s", "MB/s", plain_write_rate, {.library = "floor"});
    suite.add_value("spool_mb_per_s", "MB/s", write_rate);
    suite.add_value("spool_settled_at_once_mb_per_s", "MB/s", write_and_settle_rate);
    suite.add_value("spool_read_back_mb_per_s", "MB/s", read_rate);
}

} // namespace weft::bench
