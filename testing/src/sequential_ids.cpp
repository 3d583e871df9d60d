#include <weft/testing/sequential_ids.hpp>

namespace weft::testing {
namespace {

template <std::size_t N>
BasicId<N> id_of(std::uint64_t number) noexcept {
    BasicId<N> id; // Big-endian, so that the hex text reads as the number.
    for (std::size_t i = 0; i < sizeof number; ++i) {
        id.bytes[N - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    return id;
}

} // namespace

TraceId SequentialIds::new_trace_id() noexcept {
    return id_of<16>(traces_.fetch_add(1, std::memory_order_relaxed) + 1); // See traces_.
}

SpanId SequentialIds::new_span_id() noexcept {
    return id_of<8>(spans_.fetch_add(1, std::memory_order_relaxed) + 1); // See traces_.
}

} // namespace weft::testing
