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
    std::size_t content = field_size(resource_.message.size()) + text_size(resource_.schema_url);
    for (const auto& group : groups_) {
        if (group.records.empty()) { continue; }
        content += field_size(scope_size(detail::encoded_scope(group.scope), group.records.size()));
    }
    auto batch = std::make_shared<Batch>();
    batch->signal = signal_;
    batch->records = records_;
    auto& body = batch->body;
    body.reserve(field_size(content));
    put_length(body, tag_resource_records, content);
    put_length(body, tag_resource, resource_.message.size());
    body += resource_.message;
    for (const auto& group : groups_) {
        if (group.records.empty()) { continue; }
        const auto scope = detail::encoded_scope(group.scope);
        put_length(body, tag_scope_records, scope_size(scope, group.records.size()));
        put_length(body, tag_scope, scope.message.size());
        body += scope.message;
        body += group.records;
        put_text(body, tag_schema_url, scope.schema_url);
    }
    put_text(body, tag_schema_url, resource_.schema_url);
    clear();
    return batch;
}

void BatchBuilder::clear() noexcept {
    for (auto& group : groups_) { group.records.clear(); }
    records_ = 0;
    bytes_ = 0;
}

} // namespace weft
