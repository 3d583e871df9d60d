// Request bytes of any kind, split at caps of any size. First byte: the signal; the next two: the cap.
#include "request_splitter.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool promise, const char* what) {
    if (promise) { return; }
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) { return 0; }
    weft::Batch batch;
    batch.signal = weft::all_signals[data[0] % weft::all_signals.size()];
    const std::size_t cap = data[1] + std::size_t{256} * data[2];
    batch.body.assign(reinterpret_cast<const char*>(data) + 3, size - 3);
    const auto split = weft::detail::split_batch(batch, cap);
    if (!split) { return 0; }
    std::size_t records = 0;
    for (const auto& part : split->parts) {
        require(part->body.size() <= cap, "a part keeps to the cap");
        require(part->records != 0, "a part holds a record");
        records += part->records;
    }
    // However it is split, there are as many records as with a cap that fits all.
    const auto whole = weft::detail::split_batch(batch, std::size_t{1} << 40);
    require(whole.has_value(), "what can be split can be split at another cap");
    std::size_t all = 0;
    for (const auto& part : whole->parts) { all += part->records; }
    require(records + split->too_large == all, "no record is lost or made");
    return 0;
}
