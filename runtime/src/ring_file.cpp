#include <weft/runtime/ids.hpp>
#include <weft/runtime/ring_file.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

namespace weft {
namespace {

// Enough for some thousand scopes.
constexpr std::uint64_t scopes_bytes = 256u << 10;
// The largest page of any Linux: so that rings can be mapped everywhere.
constexpr std::uint64_t page = 64u << 10;

std::uint64_t up_to(std::uint64_t multiple, std::uint64_t value) noexcept {
    return (value + multiple - 1) / multiple * multiple;
}

[[noreturn]] void fail(int error, const std::string& text) {
    throw std::system_error(error, std::generic_category(), text);
}

// For messages and file names. The remedy comes before what the system says.
std::string directory_text(const std::string& directory) {
    return "DurableRings::directory is \"" + directory + "\" (WEFT_DURABLE_RINGS): ";
}

struct Closed {
    int descriptor;
    ~Closed() {
        if (descriptor >= 0) { close(descriptor); }
    }
};

std::string hex(std::uint64_t value) {
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) {
        text += "0123456789abcdef"[value >> shift & 15];
    }
    return text;
}

// "shop-4711-traces-0123456789abcdef": for people who list the folder. Programs read the header.
std::string file_name(const RingFile::Setup& setup, std::uint64_t id) {
    constexpr std::size_t service_bytes_max = 64;
    std::string name;
    for (const char c : setup.service.substr(0, service_bytes_max)) {
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '_' || c == '.';
        name += is_plain && !(name.empty() && c == '.') ? c : '_';
    }
    return name + '-' + std::to_string(getpid()) + '-' + std::string(weft::name(setup.signal)) +
           '-' + hex(id);
}

std::array<char, 40> read_boot_id() noexcept {
    std::array<char, 40> text{};
    const int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0) { return text; }
    const auto bytes = read(file, text.data(), text.size() - 1);
    close(file);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (bytes <= 0 || i >= static_cast<std::size_t>(bytes) || text[i] == '\n') { text[i] = 0; }
    }
    return text;
}

RingFileHeader make_header(const RingFile::Setup& setup) {
    RingFileHeader header;
    header.signal = static_cast<std::uint32_t>(setup.signal);
    header.shards = std::bit_ceil(setup.shards);
    header.ring_capacity = ByteRing::rounded(setup.ring_bytes / header.shards);
    header.service_bytes = static_cast<std::uint32_t>(setup.service.size());
    header.resource_bytes = static_cast<std::uint32_t>(setup.resource.size());
    header.schema_url_bytes = static_cast<std::uint32_t>(setup.schema_url.size());
    header.scopes_at =
        RingFileHeader::texts_at +
        up_to(8, setup.service.size() + setup.resource.size() + setup.schema_url.size());
    header.scopes_bytes = scopes_bytes;
    header.rings_at = up_to(page, header.scopes_at + scopes_bytes);
    header.ring_stride = up_to(page, ByteRing::words_bytes + header.ring_capacity);
    header.file_bytes = header.rings_at + header.shards * header.ring_stride;
    const SpanId random = random_span_id();
    std::memcpy(&header.id, &random, sizeof header.id);
    header.pid = static_cast<std::uint64_t>(getpid());
    header.started_unix_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                                 std::chrono::system_clock::now().time_since_epoch())
                                 .count();
    header.boot_id = read_boot_id();
    header.checksum = ring_checksum(&header, offsetof(RingFileHeader, checksum));
    return header;
}

// All of it, so that no page is missing later. Returns errno.
int allocate(int file, std::uint64_t bytes) noexcept {
    rlimit limit{}; // Beyond it the system would not refuse but send a signal.
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < bytes) { return EFBIG; }
    int error = EINTR;
    for (int i = 0; i < 100 && error == EINTR; ++i) {
        error = posix_fallocate(file, 0, static_cast<off_t>(bytes));
    }
    return error;
}

} // namespace

std::uint64_t ring_checksum(const void* data, std::size_t bytes) noexcept {
    std::uint64_t sum = 0xcbf29ce484222325;
    const auto* at = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < bytes; ++i) { sum = (sum ^ at[i]) * 0x100000001b3; }
    return sum;
}

std::string default_ring_directory() {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr && runtime[0] == '/') { return std::string(runtime) + "/weft"; }
    const auto own = "/weft-" + std::to_string(geteuid());
    return (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + own;
}

int open_ring_directory(const std::string& directory) {
    const auto text = directory_text(directory);
    if (directory.empty() || directory.front() != '/') {
        fail(EINVAL, text + "give an absolute path, or nothing for the default");
    }
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        fail(errno, text + "it cannot be made; give a folder whose parent exists and is writable");
    }
    Closed opened{open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (opened.descriptor < 0) {
        fail(errno, text + "it cannot be opened; give a folder of your own, and no link to one");
    }
    struct stat status {};
    if (fstat(opened.descriptor, &status) != 0) { fail(errno, text + "its owner is not known"); }
    if (status.st_uid != geteuid()) {
        fail(
            EACCES, text + "it belongs to user " + std::to_string(status.st_uid) +
                        "; give a folder of your own");
    }
    if ((status.st_mode & 077) != 0) {
        fail(EACCES, text + "others may enter it; make it private with chmod 700");
    }
    return std::exchange(opened.descriptor, -1);
}

RingFile::RingFile(const Setup& setup) : header_(make_header(setup)) {
    const std::string directory =
        setup.directory.empty() ? default_ring_directory() : setup.directory;
    const Closed folder{open_ring_directory(directory)};
    const auto name = file_name(setup, header_.id);
    const auto incomplete = '.' + name + ".new";
    path_ = directory + '/' + name + ".ring";
    const auto text = directory_text(directory);
    own_.open([&] {
        constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        return descriptor_ = openat(folder.descriptor, incomplete.c_str(), flags, 0600);
    });
    if (descriptor_ < 0) { fail(errno, text + "no file can be made in it"); }
    try {
        if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
            fail(errno, text + "its files cannot be locked; give a folder on a local file system");
        }
        if (const int error = allocate(descriptor_, header_.file_bytes); error != 0) {
            fail(
                error, text + "a file of " + std::to_string(header_.file_bytes) +
                           " bytes finds no room; make room, give another folder, or lower "
                           "BatchOptions::queue_bytes");
        }
        fill(setup);
        if (renameat(
                folder.descriptor, incomplete.c_str(), folder.descriptor,
                (name + ".ring").c_str()) != 0) { // W2
            fail(errno, text + "a file in it cannot be renamed");
        }
    } catch (...) {
        if (mapped_ != nullptr) { munmap(mapped_, header_.rings_at); }
        (void)unlinkat(folder.descriptor, incomplete.c_str(), 0);
        own_.close([this] { close(descriptor_); }, [] {});
        throw;
    }
}

void RingFile::fill(const Setup& setup) {
    void* memory =
        mmap(nullptr, header_.rings_at, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    if (memory == MAP_FAILED) { throw std::bad_alloc(); }
    (void)madvise(memory, header_.rings_at, MADV_DONTFORK); // W1
    mapped_ = static_cast<std::byte*>(memory);
    std::byte* at = mapped_ + RingFileHeader::texts_at;
    for (const auto text : {setup.service, setup.resource, setup.schema_url}) {
        if (!text.empty()) { std::memcpy(at, text.data(), text.size()); }
        at += text.size();
    }
    std::memcpy(mapped_, &header_, sizeof header_);
}

RingFile::~RingFile() {
    // In a forked child the descriptor has been closed, and the memory is not there.
    own_.close(
        [this] {
            munmap(mapped_, header_.rings_at);
            close(descriptor_);
        },
        [] {});
}

std::unique_ptr<ByteRing> RingFile::map_ring(unsigned shard) const {
    const auto at = header_.rings_at + shard * header_.ring_stride;
    return std::make_unique<ByteRing>(descriptor_, at, header_.ring_capacity);
}

void RingFile::add_scope(
    std::uint16_t index, std::string_view message, std::string_view schema_url) noexcept {
    std::atomic_ref<std::uint64_t> used(
        *reinterpret_cast<std::uint64_t*>(mapped_ + RingFileHeader::scopes_used_at));
    const std::uint64_t at = used.load(std::memory_order_relaxed); // One writer.
    const std::uint64_t bytes =
        up_to(8, sizeof(RingScopeEntry) + message.size() + schema_url.size());
    if (bytes > header_.scopes_bytes - at) { return; }
    std::byte* to = mapped_ + header_.scopes_at + at;
    const RingScopeEntry entry{
        static_cast<std::uint32_t>(message.size()), static_cast<std::uint32_t>(schema_url.size()),
        index, 0};
    std::memcpy(to, &entry, sizeof entry);
    to += sizeof entry;
    if (!message.empty()) { std::memcpy(to, message.data(), message.size()); }
    if (!schema_url.empty()) {
        std::memcpy(to + message.size(), schema_url.data(), schema_url.size());
    }
    // Whoever is killed has written what precedes. relaxed: read by nobody before that.
    std::atomic_signal_fence(std::memory_order_release);
    used.store(at + bytes, std::memory_order_relaxed);
}

void RingFile::remove() noexcept {
    if (!std::exchange(removed_, true)) { (void)unlink(path_.c_str()); }
}

} // namespace weft
