// Bodies to records: decompression, and a walk over the protobuf that looks for nothing but numbers and times.
#pragma once
#include "store.hpp"

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft::faults {

/// One connection's decoder; its memory is used again. Threads: one at a time.
class Decoder {
public:
    /// Fills `numbers` with what attribute `n` of each span says. False if the body is no such thing.
    bool decode(std::string_view encoding, std::string_view body, Store& store);

    std::vector<std::uint64_t> numbers;

private:
    struct FreeZstd {
        void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
    };
    bool inflate(std::string_view body);
    bool expand_zstd(std::string_view body);
    void read_span(std::string_view bytes, Store& store);

    std::uint64_t earliest_ = 0; // Of the body being read.
    std::uint64_t latest_ = 0;
    std::string plain_;
    std::unique_ptr<ZSTD_DCtx, FreeZstd> zstd_;
};

} // namespace weft::faults
