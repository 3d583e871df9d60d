#include <weft/runtime/byte_ring.hpp>

#include <sys/mman.h>

namespace weft {

ByteRing::Bytes ByteRing::map(std::size_t size) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) { throw std::bad_alloc(); }
    // A forked child gets zeros: fork() copies less, and the parent's next lap faults on no page. Where the kernel does
    // not know it, reset() still gives the child's copy back.
    (void)madvise(memory, size, MADV_WIPEONFORK);
    return Bytes(static_cast<std::byte*>(memory), Unmap{size});
}

void ByteRing::Unmap::operator()(std::byte* bytes) const noexcept { munmap(bytes, size); }

void ByteRing::discard_pages() noexcept { madvise(bytes_.get(), capacity_, MADV_DONTNEED); }

void ByteRing::reset() noexcept {
    discard_pages();
    // relaxed: there is one thread.
    for (auto* word : {&tail_, &head_seen_, &head_, &consumed_}) {
        word->store(0, std::memory_order_relaxed);
    }
}

} // namespace weft
