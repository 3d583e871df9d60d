#include <weft/runtime/byte_ring.hpp>

#include <sys/mman.h>

namespace weft {
namespace {

constexpr int writable = PROT_READ | PROT_WRITE;

} // namespace

ByteRing::Bytes ByteRing::map(std::size_t capacity) {
    const std::size_t size = words_bytes + capacity;
    void* memory = mmap(nullptr, size, writable, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) { throw std::bad_alloc(); }
    // A forked child gets zeros: fork() copies less, and the parent's next lap faults on no page. Where the kernel does
    // not know it, reset() still gives the child's copy back.
    (void)madvise(memory, size, MADV_WIPEONFORK);
    ::new (memory) RingWords;
    return Bytes(static_cast<std::byte*>(memory) + words_bytes, Unmap{size});
}

ByteRing::Bytes ByteRing::map(int file, std::uint64_t offset, std::size_t capacity) {
    const std::size_t size = words_bytes + capacity;
    void* memory = mmap(nullptr, size, writable, MAP_SHARED, file, static_cast<off_t>(offset));
    if (memory == MAP_FAILED) { throw std::bad_alloc(); }
    // A child must not write to it, nor keep its file locked by having it mapped.
    (void)madvise(memory, size, MADV_DONTFORK);
    ::new (memory) RingWords;
    return Bytes(static_cast<std::byte*>(memory) + words_bytes, Unmap{size});
}

void ByteRing::Unmap::operator()(std::byte* bytes) const noexcept {
    munmap(bytes - words_bytes, size);
}

void ByteRing::release(std::size_t frames) noexcept {
    RingWords& at = words();
    const std::uint64_t head = at.head.load(std::memory_order_relaxed); // I2: own value.
    std::uint64_t to = head;
    std::size_t released = 0;
    while (to != read_) { // Bound: what has been read.
        // relaxed: consume has seen it.
        const std::uint64_t header =
            header_at(bytes_.get() + (to & mask_)).load(std::memory_order_relaxed);
        if (ring_frame::kind(header) == ring_frame::record) {
            if (released == frames) { break; }
            ++released;
        }
        to = (to + whole_bytes(header)) & offset_mask;
    }
    if (to == head) { return; }
    const std::uint64_t settled = at.settled.load(std::memory_order_relaxed); // Own value.
    // relaxed: read when this process is dead. The fence: I6.
    at.settled.store(
        ((settled & count_mask) + released * count_one) | to, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const std::size_t place = head & mask_;
    const std::size_t bytes = used(to, head);
    const std::size_t before_end = std::min(bytes, capacity_ - place);
    std::memset(bytes_.get() + place, 0, before_end); // I1
    std::memset(bytes_.get(), 0, bytes - before_end);
    at.head.store(to, std::memory_order_release); // E2
}

void ByteRing::let_go() noexcept {
    // At the same address, so that a late producer finds memory.
    void* const memory = bytes_.get() - words_bytes;
    (void)mmap(
        memory, words_bytes + capacity_, writable, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

void ByteRing::discard_pages() noexcept { madvise(bytes_.get(), capacity_, MADV_DONTNEED); }

void ByteRing::reset() noexcept {
    discard_pages();
    // relaxed: there is one thread.
    for (auto* word : {&words().tail, &words().head_seen, &words().head, &words().consumed}) {
        word->store(0, std::memory_order_relaxed);
    }
}

} // namespace weft
