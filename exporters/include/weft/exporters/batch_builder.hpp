#pragma once
#include <weft/exporters/batch.hpp>
#include <weft/runtime/record.hpp>
#include <weft/signals/scope.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weft {

/// The part of a request that is the same for all batches of a runtime.
struct EncodedResource {
    std::string message;    ///< Resource, encoded.
    std::string schema_url; ///< Plain text; empty for none.
};

/// Collects records into an export request: `ResourceSpans { resource, ScopeSpans { scope, spans... }... }`.
/// A record's bytes are already a field of its ScopeSpans, so that adding is appending, and finishing writes the few
/// bytes around them. Records of other processes (see ForeignResource) get a ResourceSpans of their own.
/// Threads: one at a time. Cost: two copies of a record's bytes.
class BatchBuilder {
public:
    BatchBuilder(Signal signal, EncodedResource resource);

    /// Errors: std::bad_alloc, with the builder as it was.
    void add(const Record& record);

    [[nodiscard]] bool empty() const noexcept { return records_ == 0; }
    /// Spans, metric points or log records: the sum of RecordHeader::items.
    [[nodiscard]] std::size_t records() const noexcept { return records_; }
    /// Units: bytes of the records; the finished body is a little larger.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

    /// The finished request; the builder starts over. Errors: std::bad_alloc, with the builder as it was.
    [[nodiscard]] std::shared_ptr<const Batch> finish();
    /// Forgets what was collected.
    void clear() noexcept;

private:
    struct Group {
        std::uint16_t scope = 0;
        std::string records;
    };
    struct Part { // A group on its way into the request.
        detail::EncodedScope scope;
        const std::string* records = nullptr;
        bool is_done = false;
    };
    Group& group_of(std::uint16_t scope);
    void put_resource(std::string& body, const detail::ForeignResource* foreign);

    Signal signal_;
    EncodedResource resource_;
    std::vector<Group> groups_; // Kept between batches, for their memory; empty ones are skipped.
    std::vector<Part> parts_;   // Of finish, kept for its memory.
    std::size_t last_ = 0;      // The group of the record before: usually also of the next.
    std::size_t records_ = 0;
    std::size_t bytes_ = 0;
};

} // namespace weft
