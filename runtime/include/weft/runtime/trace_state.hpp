#pragma once
#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

namespace weft {

/// The text of a W3C tracestate, shared and immutable. Nearly always empty, and then one null pointer.
/// It holds what `w3c::parse_tracestate` accepted; it does not check. Threads: distinct objects, any.
class TraceState {
public:
    constexpr TraceState() noexcept = default;
    TraceState(const TraceState& other) noexcept : block_(other.block_) { retain(); }
    TraceState(TraceState&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    TraceState& operator=(TraceState other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~TraceState() {
        if (block_ != nullptr) { release(); }
    }

    /// Copies text that is already valid. Empty text, and text for which there is no memory, give an empty state.
    [[nodiscard]] static TraceState from_validated(std::string_view text) noexcept;

    [[nodiscard]] bool empty() const noexcept { return block_ == nullptr; }
    [[nodiscard]] std::string_view text() const noexcept;

    friend bool operator==(const TraceState& a, const TraceState& b) noexcept {
        return a.text() == b.text();
    }

private:
    struct Block;
    void retain() const noexcept;
    void release() noexcept;
    Block* block_ = nullptr;
};

} // namespace weft
