#include "failing_new.hpp"

#include <cstdlib>
#include <new>

namespace weft::testing {
namespace {

constinit thread_local bool armed = false;
constinit thread_local int left = 0;

void* allocate(std::size_t size) {
    if (armed && left-- <= 0) { throw std::bad_alloc(); }
    void* const memory = std::malloc(size == 0 ? 1 : size);
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

void* operator new(std::size_t size) { return weft::testing::allocate(size); }
void* operator new[](std::size_t size) { return weft::testing::allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
