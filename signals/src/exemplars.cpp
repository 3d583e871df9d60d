#include "exemplars.hpp"

#include <weft/runtime/ids.hpp>

#include <algorithm>
#include <thread>
#include <utility>

namespace weft::detail {

std::uint32_t Reservoir::put(std::uint32_t slot, Drawn&& drawn) noexcept {
    constexpr std::uint32_t soon =
        16; // Somebody else is at it, or there is no memory: try again a little later.
    if (!try_lock()) { return soon; }
    std::uint32_t passing = soon;
    try {
        auto found = std::lower_bound(
            slots_.begin(), slots_.end(), slot,
            [](const Slot& have, std::uint32_t number) { return have.number < number; });
        if (found == slots_.end() || found->number != slot) {
            found = slots_.insert(found, Slot{});
            found->number = slot;
        }
        found->seen += found->passing + 1;
        found->drawn = std::move(drawn);
        used_.store(true, std::memory_order_relaxed); // See empty().
        // Uniform in (0, 1]; the next one drawn is the first k with n / k below it.
        const double u = (static_cast<double>(random_u64() >> 11) + 1) * 0x1p-53;
        const double pass = static_cast<double>(found->seen) / u - static_cast<double>(found->seen);
        constexpr double most = 0xffffff;
        passing = found->passing = static_cast<std::uint32_t>(std::clamp(pass, 0.0, most));
    } catch (const std::bad_alloc&) {}
    unlock();
    return passing;
}

void Reservoir::collect(std::int64_t since_unix_ns, std::vector<Drawn>& into) {
    if (empty()) { return; }
    while (!try_lock()) { std::this_thread::yield(); } // Bound: holders copy an exemplar and go.
    struct Unlock {
        Reservoir& reservoir;
        ~Unlock() { reservoir.unlock(); }
    } const unlock_at_end{*this};
    for (auto& slot : slots_) {
        slot.seen = 0;
        slot.passing = 0;
        if (slot.drawn.time_unix_ns >= since_unix_ns) { into.push_back(slot.drawn); }
    }
}

void Reservoir::clear() noexcept {
    while (!try_lock()) { std::this_thread::yield(); } // As in collect.
    slots_.clear();
    used_.store(false, std::memory_order_relaxed); // See empty().
    unlock();
}

} // namespace weft::detail
