// Notes the stack of every throw, for record_exception to say where an exception came from. Linked on demand
// (weft::throw_traces): it stands in front of the functions of the C++ runtime through which every exception is made.
//
// A stack belongs to the thrown object's address, which `throw;`, exception_ptr, other threads and coroutines keep. A
// table of fixed size holds those of the last throws; a new exception at an address replaces the old one's stack.
//
//   throw ──▶ __cxa_throw (here) ── note ──▶ set_of(address): four entries ◀── find ── record_exception
//                 └──▶ the real one
#include "symbols.hpp"

#include <weft/signals/detail/exception_stack.hpp>

#include <dlfcn.h>
#include <unwind.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <span>
#include <typeinfo>

namespace weft::detail {
namespace {

constexpr std::size_t depth_max = 64;
constexpr std::size_t ways = 4;
constexpr std::size_t sets =
    64; // With the ways: 256 exceptions, 140 KiB that are touched only by throws.

struct Entry {
    // E1: let_go stores (release) -> try_hold exchanges (acquire): whoever holds an entry sees its plain fields.
    std::atomic<bool> is_held{false};
    std::atomic<std::uint64_t> age{0}; // 0: never used. A hint, read by anybody: relaxed.
    const void* object = nullptr;
    const std::type_info* type = nullptr;
    std::size_t depth = 0;
    std::array<std::uintptr_t, depth_max> frames{};

    [[nodiscard]] bool try_hold() noexcept {
        return !is_held.exchange(true, std::memory_order_acquire); // E1
    }
    void let_go() noexcept { is_held.store(false, std::memory_order_release); } // E1
};

constinit std::array<std::array<Entry, ways>, sets> table{};
constinit std::atomic<std::uint64_t> throws{0}; // The clock of `age`; relaxed: only order matters.

std::array<Entry, ways>& set_of(const void* object) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(object) >> 4; // Allocations are aligned.
    return table[(address ^ (address >> 7) ^ (address >> 15)) % sets];
}

struct Walk {
    std::uintptr_t from; // The frame that throws: what is above it is ours.
    Entry& entry;
    bool has_begun = false;
    int skipped = 0;
};

_Unwind_Reason_Code step(_Unwind_Context* context, void* argument) {
    auto& walk = *static_cast<Walk*>(argument);
    int is_exact = 0;
    const auto address = static_cast<std::uintptr_t>(_Unwind_GetIPInfo(context, &is_exact));
    if (address == 0) { return _URC_END_OF_STACK; }
    constexpr int ours_max = 8; // More are not ours: a frame was missed.
    walk.has_begun = walk.has_begun || address == walk.from || ++walk.skipped > ours_max;
    if (!walk.has_begun) { return _URC_NO_REASON; }
    // A return address stands behind its call, perhaps in the next function already.
    walk.entry.frames[walk.entry.depth++] = is_exact != 0 ? address : address - 1;
    return walk.entry.depth < depth_max ? _URC_NO_REASON : _URC_END_OF_STACK;
}

// The oldest that nobody holds, now held; null when others hold all of them.
Entry* take_entry(const void* object) noexcept {
    auto& set = set_of(object);
    for (std::size_t attempt = 0; attempt < ways; ++attempt) {
        Entry* best = nullptr;
        for (auto& entry : set) {
            if (entry.is_held.load(std::memory_order_relaxed)) { continue; } // A hint.
            const auto age = entry.age.load(std::memory_order_relaxed);      // A hint.
            if (best == nullptr || age < best->age.load(std::memory_order_relaxed)) {
                best = &entry;
            }
        }
        if (best != nullptr && best->try_hold()) { return best; }
    }
    return nullptr;
}

void note(const void* object, const std::type_info* type, void* from) noexcept {
    Entry* entry = take_entry(object);
    if (entry == nullptr) { return; }
    entry->object = object;
    entry->type = type;
    entry->depth = 0;
    Walk walk{.from = reinterpret_cast<std::uintptr_t>(from), .entry = *entry};
    _Unwind_Backtrace(&step, &walk);
    // relaxed: a hint. From one on.
    entry->age.store(throws.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    entry->let_go();
}

std::size_t write_stack_of(
    const void* object, const std::type_info& type, char* out, std::size_t size) noexcept {
    std::array<std::uintptr_t, depth_max> frames;
    std::size_t depth = 0;
    std::uint64_t age = 0;
    for (auto& entry : set_of(object)) {
        if (!entry.try_hold()) { continue; } // Another exception's: this one is not being thrown.
        // Of several at one address, the last: the others' are gone.
        const auto entry_age = entry.age.load(std::memory_order_relaxed); // Held here.
        if (entry.object == object && entry_age > age) {
            age = entry_age;
            depth = *entry.type == type ? entry.depth : 0;
            std::copy_n(entry.frames.begin(), depth, frames.begin());
        }
        entry.let_go();
    }
    return write_stack({frames.data(), depth}, out, size);
}

// Before main, and before that the pointer is null: throws are noted, nobody asks.
const bool is_known = [] {
    exception_stack.store(&write_stack_of, std::memory_order_relaxed); // See there.
    return true;
}();

// What stands behind us. Looked up at the first throw, which may come before any initialiser has run.
template <class Function>
Function* next(std::atomic<Function*>& known, const char* name) noexcept {
    auto* function = known.load(std::memory_order_relaxed); // Always the same value.
    if (function == nullptr) {
        function = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
        known.store(function, std::memory_order_relaxed); // As above.
    }
    return function;
}

using Throw = void(void*, std::type_info*, void (*)(void*));
using Make = void*(void*, std::type_info*, void (*)(void*));
constinit std::atomic<Throw*> next_throw{nullptr};
constinit std::atomic<Make*> next_make{nullptr};

// The object that this thread is throwing: the runtime's __cxa_throw may make it by the function below.
constinit thread_local const void* being_thrown = nullptr;

} // namespace
} // namespace weft::detail

extern "C" {

// The linker is told to want it (-u), for a program that throws in libraries only refers to nothing else of ours.
extern const char weft_throw_traces;
const char weft_throw_traces = 1;

// Source: Itanium C++ ABI: Exception Handling, 2.4.3 "Throwing the Exception Object".
[[noreturn]] void __cxa_throw(void* object, std::type_info* type, void (*destroy)(void*)) {
    namespace detail = weft::detail;
    detail::note(object, type, __builtin_extract_return_addr(__builtin_return_address(0)));
    detail::being_thrown = object;
    if (auto* real = detail::next(detail::next_throw, "__cxa_throw"); real != nullptr) {
        real(object, type, destroy);
    }
    std::terminate(); // There is no C++ runtime to throw with: a fully static program.
}

} // extern "C"

namespace __cxxabiv1 {

struct __cxa_refcounted_exception;

// What std::make_exception_ptr calls instead. Source: libstdc++, <bits/cxxabi_init_exception.h>.
extern "C" __cxa_refcounted_exception* __cxa_init_primary_exception(
    void* object, std::type_info* type, void (*destroy)(void*)) noexcept {
    namespace detail = weft::detail;
    if (detail::being_thrown != object) {
        detail::note(object, type, __builtin_extract_return_addr(__builtin_return_address(0)));
    }
    detail::being_thrown = nullptr;
    auto* real = detail::next(detail::next_make, "__cxa_init_primary_exception");
    if (real == nullptr) { std::terminate(); }
    return static_cast<__cxa_refcounted_exception*>(real(object, type, destroy));
}

} // namespace __cxxabiv1
