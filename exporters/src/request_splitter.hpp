#pragma once
#include <weft/exporters/batch.hpp>
#include <weft/runtime/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace weft::detail {

/// A batch in parts, each a request of its own.
struct SplitBatch {
    std::vector<std::shared_ptr<const Batch>> parts;
    std::uint64_t too_large = 0; ///< Records that are in no part: not even shortened do they fit.
    std::uint64_t shortened = 0; ///< Records with values cut to make them fit.
};

/// Splits a batch by its records, in their order, so that no part's body is larger than `bytes_max`; resource and scope are
/// repeated in each part. A metric that is too large is split by its points. A span or log record that is too large alone
/// is shortened: see shorten_record().
/// Errors: Errc::decode_failed: the body is no Protobuf; std::bad_alloc. Cost: copies the body; for the rare case.
[[nodiscard]] Result<SplitBatch> split_batch(const Batch& batch, std::size_t bytes_max);

} // namespace weft::detail
