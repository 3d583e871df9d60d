#pragma once
// Whether a signal's producers may hand in records, and of which process they are.
//
//   open ── close ──▶ closed                  a record that is finished now is counted as late
//    │ fork, in the child
//    ▼
//   asleep ── first record of the child ──▶ open: the exports are started again; a child that makes none costs nothing
//
// G1  A record notes the gate's generation when it begins and shows it when it is finished. A fork changes the child's
//     generation: what was begun before belongs to the parent, which exports it, and is let go in the child.
// G2  `state_` is 0 (closed), 1 (asleep) or the generation, so that one load and one comparison answer both questions.

#include <weft/runtime/fork.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>

namespace weft::detail {

/// Guards the start and the end of exports in every runtime of the process (ForkOrder::lifecycle).
[[nodiscard]] std::mutex& lifecycle_mutex() noexcept;

/// One line in the library's own log. Without lifecycle_mutex(), or held back: the log's handler may ask for a ledger.
void report_failed_start() noexcept;

/// One for each signal of a runtime. Threads: any.
class ProducerGate {
public:
    using Start = bool (*)(void* owner) noexcept;

    ProducerGate() noexcept = default;
    ProducerGate(const ProducerGate&) = delete;
    ProducerGate& operator=(const ProducerGate&) = delete;

    /// Who starts the exports of a forked child: `start(owner)` is called with lifecycle_mutex() held, once in a child,
    /// and says whether it could. Null: nobody any more.
    void set_owner(void* owner, Start start) noexcept;

    /// To be noted by a record that begins.
    [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }

    /// Whether a finished record may go at once. Cost: one load. relaxed: a record that slips through is in the queue,
    /// and the ledger says so.
    [[nodiscard]] bool is_open_for(std::uint32_t generation) const noexcept {
        return state_.load(std::memory_order_relaxed) == generation;
    }

    enum class Answer : std::uint8_t {
        accepted,
        closed,   ///< Too late: to be counted.
        inherited ///< Begun before the fork that made this process: its parent's.
    };
    /// As above, where that said no. The first record of a forked child starts the exports.
    [[nodiscard]] Answer look_again(std::uint32_t generation) noexcept;

    /// False after close().
    [[nodiscard]] bool is_open() const noexcept {
        return state_.load(std::memory_order_relaxed) != closed; // As in is_open_for.
    }
    /// True for the first caller.
    bool close() noexcept {
        return state_.exchange(closed, std::memory_order_relaxed) != closed; // As in is_open_for.
    }

private:
    static constexpr std::uint32_t closed = 0;
    static constexpr std::uint32_t asleep = 1;
    static constexpr std::uint32_t first_generation = 2;
    static void on_fork_in_child(void* gate) noexcept;

    // Written by close, by the child's first record and in a fork's child; read by every record.
    std::atomic<std::uint32_t> state_{first_generation};
    std::uint32_t generation_ =
        first_generation;   // Written by a forked child while it has one thread.
    void* owner_ = nullptr; // Guarded by lifecycle_mutex(), as below.
    Start start_ = nullptr;
    ForkRegistration at_fork_{{ForkOrder::lifecycle, this, nullptr, nullptr, on_fork_in_child}};
};

} // namespace weft::detail
