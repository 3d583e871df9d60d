#include <weft/runtime/trace_state.hpp>

#include <cstring>
#include <new>

namespace weft {

// The characters follow the block in the same allocation.
struct TraceState::Block {
    // Written and read by every holder's thread; the last to leave frees.
    std::atomic<std::uint32_t> holders{1};
    std::uint32_t size = 0;
    char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
};

TraceState TraceState::from_validated(std::string_view text) noexcept {
    TraceState state;
    if (text.empty()) { return state; }
    void* memory = ::operator new(sizeof(Block) + text.size(), std::nothrow);
    if (memory == nullptr) { return state; }
    auto* block = new (memory) Block;
    block->size = static_cast<std::uint32_t>(text.size());
    std::memcpy(block->data(), text.data(), text.size());
    state.block_ = block;
    return state;
}

std::string_view TraceState::text() const noexcept {
    if (block_ == nullptr) { return {}; }
    return {block_->data(), block_->size};
}

void TraceState::retain() const noexcept {
    // relaxed: a copy is made from a live holder, so the count cannot reach zero meanwhile.
    if (block_ != nullptr) { block_->holders.fetch_add(1, std::memory_order_relaxed); }
}

void TraceState::release() noexcept {
    // acq_rel: every holder's last read happens before the one that frees.
    if (block_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        block_->~Block();
        ::operator delete(block_);
    }
    block_ = nullptr;
}

} // namespace weft
