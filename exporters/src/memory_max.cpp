#include <weft/exporters/batch_options.hpp>

#include <algorithm>
#include <bit>

namespace weft {

std::size_t memory_max(const BatchOptions& options, std::size_t connections) noexcept {
    const std::size_t shards = std::bit_ceil(options.shards);
    const std::size_t ring = std::bit_ceil(std::max<std::size_t>(options.queue_bytes / shards, 1));
    // A record may go alone over bytes_max; it is an eighth of its ring at most. And a batch has its resource and scopes.
    const std::size_t batch = std::max(options.bytes_max, ring / 8) + (std::size_t{64} << 10);
    const std::size_t building = 3 * batch; // Grown by doubling, and then copied once.
    const std::size_t waiting = options.waiting_bytes_max + batch;
    const std::size_t in_flight = connections * 2 * batch; // Each with its compressed copy.
    return shards * ring + building + waiting + in_flight;
}

} // namespace weft
