#include <weft/exporters/batch_builder.hpp>
#include <weft/signals/scope.hpp>

#include <protozero/varint.hpp>

#include <algorithm>

namespace weft {
namespace {

// Field tags. Source: OTLP schema; the numbers are the same for all three signals.
constexpr char tag_resource_records = 0x0a; // Export*ServiceRequest.resource_*
constexpr char tag_resource = 0x0a;         // Resource*.resource
constexpr char tag_scope_records = 0x12;    // Resource*.scope_*
constexpr char tag_scope = 0x0a;            // Scope*.scope
constexpr char tag_schema_url = 0x1a;       // Both levels.

std::size_t varint_size(std::size_t value) noexcept {
    return static_cast<std::size_t>(protozero::length_of_varint(value));
}

// Tag, length and content.
std::size_t field_size(std::size_t content) noexcept { return 1 + varint_size(content) + content; }

std::size_t text_size(std::string_view text) noexcept {
    return text.empty() ? 0 : field_size(text.size());
}

void put_length(std::string& out, char tag, std::size_t length) {
    out += tag;
    char digits[10];
    out.append(digits, static_cast<std::size_t>(protozero::add_varint_to_buffer(digits, length)));
}

void put_text(std::string& out, char tag, std::string_view text) {
    if (text.empty()) { return; }
    put_length(out, tag, text.size());
    out += text;
}

std::size_t scope_size(const detail::EncodedScope& scope, std::size_t records) noexcept {
    return field_size(scope.message.size()) + records + text_size(scope.schema_url);
}

} // namespace

BatchBuilder::BatchBuilder(Signal signal, EncodedResource resource)
    : signal_(signal), resource_(std::move(resource)) {}

BatchBuilder::Group& BatchBuilder::group_of(std::uint16_t scope) {
    if (last_ < groups_.size() && groups_[last_].scope == scope) { return groups_[last_]; }
    const auto found = std::find_if(groups_.begin(), groups_.end(), [scope](const Group& group) {
        return group.scope == scope;
    });
    last_ = static_cast<std::size_t>(found - groups_.begin());
    if (last_ == groups_.size()) { groups_.push_back({scope, {}}); }
    return groups_[last_];
}

void BatchBuilder::add(const Record& record) {
    group_of(record.header.scope)
        .records.append(reinterpret_cast<const char*>(record.body.data()), record.body.size());
    records_ += record.header.items;
    bytes_ += record.body.size();
}

std::shared_ptr<const Batch> BatchBuilder::finish() {
    auto batch = std::make_shared<Batch>();
    batch->signal = signal_;
    batch->records = records_;
    parts_.clear();
    for (const auto& group : groups_) {
        if (group.records.empty()) { continue; }
        parts_.push_back({detail::encoded_scope(group.scope), &group.records, false});
    }
    for (auto& part : parts_) { // One resource a turn, nearly always the only one.
        if (!part.is_done) { put_resource(batch->body, part.scope.resource); }
    }
    clear();
    return batch;
}

// All scopes of a resource; null: of this process.
void BatchBuilder::put_resource(std::string& body, const detail::ForeignResource* foreign) {
    const std::string& message = foreign != nullptr ? foreign->message : resource_.message;
    const std::string& schema_url = foreign != nullptr ? foreign->schema_url : resource_.schema_url;
    std::size_t content = field_size(message.size()) + text_size(schema_url);
    for (const auto& part : parts_) {
        if (part.scope.resource != foreign) { continue; }
        content += field_size(scope_size(part.scope, part.records->size()));
    }
    body.reserve(body.size() + field_size(content));
    put_length(body, tag_resource_records, content);
    put_length(body, tag_resource, message.size());
    body += message;
    for (auto& part : parts_) {
        if (part.scope.resource != foreign) { continue; }
        part.is_done = true;
        put_length(body, tag_scope_records, scope_size(part.scope, part.records->size()));
        put_length(body, tag_scope, part.scope.message.size());
        body += part.scope.message;
        body += *part.records;
        put_text(body, tag_schema_url, part.scope.schema_url);
    }
    put_text(body, tag_schema_url, schema_url);
}

void BatchBuilder::clear() noexcept {
    for (auto& group : groups_) { group.records.clear(); }
    records_ = 0;
    bytes_ = 0;
}

} // namespace weft
