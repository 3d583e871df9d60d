#pragma once
#include <weft/signals/bound_instrument.hpp>

#include <string>
#include <utility>
#include <vector>

namespace weft::detail {

struct Series;

/// A handle's place in the process's list. It stays where it is while the handle moves.
struct BoundRegistration {
    BoundRegistration(const InstrumentBase& of, std::string attributes)
        : instrument(of), key(std::move(attributes)) {}

    InstrumentBase instrument;
    std::string key;
    BoundBase* handle = nullptr;
    MeterProvider* provider = nullptr; // Whose series these are. Null: nobody's.
    std::vector<Series*> series;       // One for each stream.
    BoundRegistration* next = nullptr;
    BoundRegistration* previous = nullptr;

    void set_target(SeriesTarget* target) const noexcept {
        handle->target_.store(target, std::memory_order_release); // Read by BoundBase::target.
    }
};

/// Gives every bound instrument of the process its series anew: to be called when the default provider has changed, or a
/// provider has closed. Threads: any.
void resolve_bound_instruments() noexcept;

} // namespace weft::detail
