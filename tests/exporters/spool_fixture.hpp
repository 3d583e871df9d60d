#pragma once
// A spool in a folder of its own, batches that can be told apart, and a disk that fails when told to.

#include "spool_files.hpp"
#include "spool_state.hpp"

#include <weft/exporters/spool.hpp>
#include <weft/testing/random.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft::testing {

/// A folder that goes with the test.
class TemporaryFolder {
public:
    explicit TemporaryFolder(const std::string& parent = std::filesystem::temp_directory_path()) {
        std::string name = parent + "/weft-spool-XXXXXX";
        if (mkdtemp(name.data()) == nullptr) { throw std::runtime_error("mkdtemp in " + parent); }
        path_ = name;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return path_ + "/" + name;
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// Keeps what was reported.
class ReportedLines {
public:
    [[nodiscard]] Diagnostics& log() noexcept { return log_; }
    [[nodiscard]] std::string text() const {
        std::string all;
        for (const auto& line : lines_) { all += line + '\n'; }
        return all;
    }
    [[nodiscard]] std::size_t count(std::string_view part) const {
        std::size_t found = 0;
        for (const auto& line : lines_) { found += line.find(part) != std::string::npos ? 1 : 0; }
        return found;
    }

private:
    std::vector<std::string> lines_;
    Diagnostics log_{
        {.handler =
             [this](const Diagnostic& diagnostic) { lines_.emplace_back(diagnostic.message); },
         .interval = std::chrono::milliseconds(0)}};
};

/// Number `index`: recognisable, of a size of its own, half of it compressible.
inline std::shared_ptr<const Batch> numbered_batch(std::uint64_t index, std::size_t bytes = 300) {
    auto batch = std::make_shared<Batch>();
    batch->signal = static_cast<Signal>(index % 3);
    batch->records = static_cast<std::size_t>(1 + index % 7);
    batch->body = fmt::format("batch {:08}:", index);
    Random random(index);
    const std::size_t total = bytes + static_cast<std::size_t>(index % 97);
    batch->body += random.bytes(total / 2);
    batch->body.append(total - total / 2, 'x');
    return batch;
}

inline std::uint64_t number_of(const Batch& batch) {
    return std::strtoull(batch.body.c_str() + 6, nullptr, 10);
}

/// Whether it is what numbered_batch() made, in every byte.
inline bool is_intact(const Batch& batch, std::size_t bytes = 300) {
    const auto original = numbered_batch(number_of(batch), bytes);
    return batch.body == original->body && batch.records == original->records &&
           batch.signal == original->signal;
}

/// Takes and acknowledges all that waits; the numbers, in order.
inline std::vector<std::uint64_t> take_all(Spool& spool, std::size_t bytes = 300) {
    std::vector<std::uint64_t> numbers;
    while (auto entry = spool.next()) {
        EXPECT_TRUE(is_intact(*entry->batch, bytes));
        numbers.push_back(number_of(*entry->batch));
        spool.acknowledge(entry->id);
    }
    return numbers;
}

inline std::vector<std::uint64_t> numbers_from_to(std::uint64_t first, std::uint64_t end) {
    std::vector<std::uint64_t> numbers;
    for (; first < end; ++first) { numbers.push_back(first); }
    return numbers;
}

inline std::uint64_t records_from_to(std::uint64_t first, std::uint64_t end) {
    std::uint64_t records = 0;
    for (; first < end; ++first) { records += 1 + first % 7; }
    return records;
}

inline std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << bytes;
}

/// Of the files whose names end so; sorted.
inline std::vector<std::string> files_in(const std::string& folder, std::string_view ending) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().string().ends_with(ending)) { paths.push_back(entry.path().string()); }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

/// A disk whose calls fail as told. 0 for an error: they do not.
class FailingDisk final : public detail::SpoolFiles {
public:
    int open_error = 0; ///< Of files that are written to.
    int write_error = 0;
    /// Writes stop in the middle once so many bytes have been written.
    std::optional<std::size_t> writable_bytes;
    int read_error = 0;
    int sync_error = 0;
    int truncate_error = 0;
    int remove_error = 0;
    std::size_t syncs = 0;
    std::size_t directory_syncs = 0;
    std::size_t reads = 0;
    std::size_t opens = 0;

    int open(int directory, const char* name, int flags) noexcept override {
        ++opens;
        const bool writes = (flags & 3) != 0;
        if (open_error != 0 && writes) { return fail(open_error); }
        return SpoolFiles::open(directory, name, flags);
    }
    ssize_t write(
        int file, std::span<const std::byte> bytes, std::uint64_t offset) noexcept override {
        if (write_error != 0) { return fail(write_error); }
        if (!writable_bytes) { return SpoolFiles::write(file, bytes, offset); }
        if (*writable_bytes == 0) { return fail(ENOSPC); }
        const auto some = bytes.first(std::min(bytes.size(), *writable_bytes));
        *writable_bytes -= some.size();
        return SpoolFiles::write(file, some, offset);
    }
    ssize_t read(int file, std::span<std::byte> into, std::uint64_t offset) noexcept override {
        ++reads;
        return read_error != 0 ? fail(read_error) : SpoolFiles::read(file, into, offset);
    }
    int sync_data(int file) noexcept override {
        ++syncs;
        return sync_error != 0 ? fail(sync_error) : SpoolFiles::sync_data(file);
    }
    int sync_directory(int directory) noexcept override {
        ++directory_syncs;
        return sync_error != 0 ? fail(sync_error) : SpoolFiles::sync_directory(directory);
    }
    int truncate(int file, std::uint64_t bytes) noexcept override {
        return truncate_error != 0 ? fail(truncate_error) : SpoolFiles::truncate(file, bytes);
    }
    int remove(int directory, const char* name) noexcept override {
        return remove_error != 0 ? fail(remove_error) : SpoolFiles::remove(directory, name);
    }

private:
    static int fail(int error) noexcept {
        errno = error;
        return -1;
    }
};

/// A folder for a spool, opened and reopened.
class SpoolTest : public ::testing::Test {
protected:
    [[nodiscard]] virtual SpoolOptions options() const {
        return {
            .directory = folder / "spool",
            .bytes_max = 1u << 20,
            .segment_bytes = 16u << 10,
            .sync = std::chrono::milliseconds(100)};
    }
    Spool& open(const SpoolOptions& with) {
        spool.reset();
        auto opened = detail::open_spool(with, lines.log(), disk);
        EXPECT_TRUE(opened.has_value()) << opened.error().message() << '\n' << lines.text();
        if (!opened) { throw std::runtime_error("no spool"); }
        spool = std::move(*opened);
        return *spool;
    }
    Spool& open() { return open(options()); }
    /// Opened again from what a copy of its folder holds, as if the process had died now.
    Spool& open_after_death(SpoolOptions with) {
        const std::string copy = folder / fmt::format("copy-{}", ++copies);
        std::filesystem::copy(with.directory, copy);
        spool.reset();
        std::filesystem::remove_all(with.directory);
        std::filesystem::rename(copy, with.directory);
        return open(with);
    }
    Spool& open_after_death() { return open_after_death(options()); }
    void append(std::uint64_t first, std::uint64_t end, std::size_t bytes = 300) {
        for (; first < end; ++first) {
            ASSERT_EQ(spool->append(numbered_batch(first, bytes)), Spool::Append::written) << first;
        }
    }
    [[nodiscard]] std::vector<std::string> segments() const {
        return files_in(folder / "spool", ".v1");
    }

    TemporaryFolder folder;
    ReportedLines lines;
    FailingDisk disk;
    std::unique_ptr<Spool> spool;
    int copies = 0;
};

} // namespace weft::testing
