#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/producer_gate.hpp>

namespace weft::detail {
namespace {

constinit std::mutex the_lifecycle_mutex{};
[[maybe_unused]] ForkGuard at_fork(ForkOrder::lifecycle, the_lifecycle_mutex);

} // namespace

std::mutex& lifecycle_mutex() noexcept { return the_lifecycle_mutex; }

void report_failed_start() noexcept {
    diagnostics().report(
        DiagnosticLevel::error, "fork.start",
        "no memory or no thread to export from a forked child: its telemetry waits for the next "
        "flush or shutdown");
}

void ProducerGate::set_owner(void* owner, Start start) noexcept {
    const std::lock_guard lock(lifecycle_mutex());
    owner_ = owner;
    start_ = start;
}

ProducerGate::Answer ProducerGate::look_again(std::uint32_t generation) noexcept {
    if (generation != generation_) { return Answer::inherited; }
    std::uint32_t state = asleep;
    // relaxed: who is first decides who starts; what is started is guarded by the mutex.
    if (state_.compare_exchange_strong(
            state, generation, std::memory_order_relaxed, std::memory_order_relaxed)) {
        const HeldDiagnostics held;
        const std::lock_guard lock(lifecycle_mutex());
        if (start_ != nullptr && !start_(owner_)) { report_failed_start(); }
        return Answer::accepted; // It waits in the queue.
    }
    return state == closed ? Answer::closed : Answer::accepted;
}

void ProducerGate::on_fork_in_child(void* gate) noexcept {
    auto& self = *static_cast<ProducerGate*>(gate);
    if (++self.generation_ < first_generation) { self.generation_ = first_generation; } // Wrapped.
    // relaxed throughout: the child has one thread.
    if (self.state_.load(std::memory_order_relaxed) != closed) {
        self.state_.store(asleep, std::memory_order_relaxed);
    }
}

} // namespace weft::detail
