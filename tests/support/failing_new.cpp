#include "failing_new.hpp"

#include <cstdlib>
#include <new>

namespace weft::testing {
namespace {

constinit thread_local bool armed = false;
constinit thread_local int left = 0;

void* allocate(std::size_t size) noexcept {
    if (armed && left-- <= 0) { return nullptr; }
    return std::malloc(size == 0 ? 1 : size);
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
    if (armed && left-- <= 0) { return nullptr; }
    const auto align = static_cast<std::size_t>(alignment);
    return std::aligned_alloc(align, (size + align - 1) / align * align);
}

void* or_throw(void* memory) {
    if (memory == nullptr) { throw std::bad_alloc(); }
    return memory;
}

} // namespace

FailingNew::FailingNew(int allocations) noexcept {
    left = allocations;
    armed = true;
}

void FailingNew::disarm() noexcept { armed = false; }

} // namespace weft::testing

// The array forms call these by default. All of them are ours, for AddressSanitizer's own must not meet our delete.
void* operator new(std::size_t size) {
    return weft::testing::or_throw(weft::testing::allocate(size));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return weft::testing::allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return weft::testing::or_throw(weft::testing::allocate(size, alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return weft::testing::allocate(size, alignment);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
    std::free(memory);
}
