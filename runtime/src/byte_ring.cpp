#include <weft/runtime/byte_ring.hpp>

#include <sys/mman.h>

namespace weft {

ByteRing::Bytes ByteRing::map(std::size_t size) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) { throw std::bad_alloc(); }
    return Bytes(static_cast<std::byte*>(memory), Unmap{size});
}

void ByteRing::Unmap::operator()(std::byte* bytes) const noexcept { munmap(bytes, size); }

void ByteRing::discard_pages() noexcept { madvise(bytes_.get(), capacity_, MADV_DONTNEED); }

} // namespace weft
