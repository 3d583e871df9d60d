// What may lie in a spool's directory. First byte even: the rest is a segment in memory. Odd: the rest is pieces of which
// a segment and a cursor are made, with right checksums or without, and a spool is opened on them. Claims: nothing
// crashes or loops; entries come in order and within the file; the counts add up; a batch appended afterwards comes out.
#include "spool_format.hpp"

#include <weft/exporters/spool.hpp>
#include <weft/exporters/spool_inspection.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>

namespace {

using weft::detail::EntryHeader;
using weft::detail::EntryScanner;

constexpr std::uint32_t salt = 7;

void require(bool promise, const char* what) {
    if (promise) { return; }
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
}

void scan(std::span<const std::byte> segment) {
    EntryScanner scanner(
        [segment](std::uint64_t offset, std::span<std::byte> into) {
            require(offset + into.size() <= segment.size(), "reads within the segment");
            std::memcpy(into.data(), segment.data() + offset, into.size());
        },
        {segment.size(), salt});
    weft::detail::BodyCoder coder;
    std::uint64_t end = 0;
    std::string body;
    while (const auto found = scanner.next()) {
        require(found->offset == end + scanner.skipped_bytes(), "accounts for every byte");
        const auto bytes = segment.subspan(static_cast<std::size_t>(found->offset));
        const auto again = weft::detail::encode(found->header, salt);
        require(
            std::equal(again.begin() + 8, again.begin() + 50, bytes.begin() + 8),
            "is what was written");
        if (!found->is_whole) { return; }
        end = found->end();
        require(end <= segment.size(), "ends within the segment");
        const auto stored = bytes.subspan(again.size(), found->header.stored_bytes);
        if (coder.restore(found->header, stored, body)) {
            require(body.size() == found->header.body_bytes, "has the size it promises");
        }
    }
    require(end + scanner.skipped_bytes() == segment.size(), "accounts for every byte");
    if (const auto cursor = weft::detail::decode_cursor(segment)) {
        const auto again = weft::detail::encode(*cursor);
        require(
            std::equal(again.begin() + 8, again.begin() + 48, segment.begin() + 8), "same cursor");
    }
}

class Input {
public:
    explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}
    [[nodiscard]] bool empty() const { return bytes_.empty(); }
    unsigned byte() {
        if (bytes_.empty()) { return 0; }
        const auto value = std::to_integer<unsigned>(bytes_.front());
        bytes_ = bytes_.subspan(1);
        return value;
    }
    // Small as a rule, huge now and then.
    std::uint64_t number() {
        const unsigned kind = byte();
        return kind == 255   ? (std::uint64_t{byte()} << 56 | byte())
               : kind == 254 ? ~std::uint64_t{0}
                             : kind;
    }
    std::string text(std::size_t size) {
        size = std::min(size, bytes_.size());
        std::string out(reinterpret_cast<const char*>(bytes_.data()), size);
        bytes_ = bytes_.subspan(size);
        return out;
    }

private:
    std::span<const std::byte> bytes_;
};

std::string entry_from(Input& input) {
    const std::string body = input.text(input.byte());
    EntryHeader header;
    header.sequence = input.number();
    header.records_before = input.number();
    header.records = static_cast<std::uint32_t>(input.number());
    header.signal = static_cast<weft::Signal>(input.byte() % 4);
    header.stored_bytes = static_cast<std::uint32_t>(body.size());
    header.body_bytes = header.stored_bytes;
    const unsigned twist = input.byte();
    if (twist == 1) { header.stored_bytes += 1; }
    if (twist == 2) { header.body_bytes = static_cast<std::uint32_t>(input.number()); }
    if (twist == 3) { header.coding = weft::Compression::zstd; }
    header.stored_crc = weft::detail::crc_of(std::as_bytes(std::span(body)));
    if (twist == 4) { header.stored_crc ^= 1; }
    const auto bytes = weft::detail::encode(header, salt);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) + body;
}

std::string segment_from(Input& input) {
    std::string segment;
    for (int pieces = 0; pieces < 64 && !input.empty(); ++pieces) {
        const unsigned kind = input.byte();
        if (kind == 255) { break; }
        segment += kind % 4 == 0 ? input.text(input.byte()) : entry_from(input);
    }
    return segment;
}

std::string cursor_from(Input& input) {
    std::string file(4160, '\0');
    for (const std::size_t slot : {0u, 4096u}) {
        weft::detail::SpoolCursor cursor;
        cursor.generation = input.number();
        cursor.sequence = input.number();
        cursor.records_before = input.number();
        cursor.next_sequence = input.number();
        cursor.records_total = input.number();
        const auto bytes = weft::detail::encode(cursor);
        std::memcpy(file.data() + slot, bytes.data(), bytes.size());
        if (input.byte() % 4 == 0) { file[slot + 12] ^= 1; }
    }
    return file;
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

const std::filesystem::path& folder() {
    static const std::filesystem::path path = [] {
        std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
        name += "/weft-spool-fuzz-XXXXXX";
        require(mkdtemp(name.data()) != nullptr, "there is a folder");
        std::atexit([] {
            std::error_code ignored;
            std::filesystem::remove_all(folder(), ignored);
        });
        return std::filesystem::path(name);
    }();
    return path;
}

void open_spool(std::span<const std::byte> bytes) {
    static weft::Diagnostics silent({.level = weft::DiagnosticLevel::none});
    Input input(bytes);
    const auto directory = folder() / "spool";
    std::filesystem::remove_all(directory);
    std::filesystem::create_directory(directory);
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
    if (input.byte() % 2 != 0) { write_file(directory / "cursor", cursor_from(input)); }
    for (unsigned segments = 0; segments < 4 && !input.empty(); ++segments) {
        write_file(
            directory / weft::detail::to_string({1 + input.number() % 1000, salt}),
            segment_from(input));
    }
    require(weft::inspect_spool(directory).has_value(), "can be looked at");

    weft::SpoolOptions options;
    options.directory = directory;
    options.bytes_max = 1u << 20;
    options.sync.reset();
    auto opened = weft::Spool::open(options, silent);
    require(opened.has_value(), "opens whatever is in it");
    auto& spool = **opened;
    require(spool.counts().is_balanced(), "counts add up after opening");
    std::uint64_t last = 0;
    while (const auto entry = spool.next()) {
        require(entry->id >= last, "comes in order");
        last = entry->id + 1;
        if (last % 3 != 0) { spool.acknowledge(entry->id); }
    }
    require(spool.counts().is_balanced(), "counts add up after reading");
    auto batch = std::make_shared<weft::Batch>();
    batch->records = 1;
    batch->body = "the last";
    require(spool.append(batch) == weft::Spool::Append::written, "takes a batch");
    spool.put_back_all();
    std::string body;
    while (const auto entry = spool.next()) {
        body = entry->batch->body;
        spool.acknowledge(entry->id);
    }
    require(body == "the last", "gives it back last");
    const auto counts = spool.counts();
    require(counts.is_balanced() && counts.waiting.batches == 0, "counts add up at the end");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) { return 0; }
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
    data[0] % 2 == 0 ? scan(bytes) : open_spool(bytes);
    return 0;
}
