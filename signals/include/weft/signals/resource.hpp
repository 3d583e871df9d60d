#pragma once
#include <weft/signals/attribute.hpp>

#include <map>
#include <string>
#include <string_view>

namespace weft {

/// What produces the telemetry: the service, its host, its process. A set of attributes, encoded as they are set.
/// Threads: distinct objects, any. Source: OpenTelemetry Resource SDK.
class Resource {
public:
    Resource() = default;

    /// Adds or replaces; an empty key is ignored. Errors: std::bad_alloc.
    Resource& set(std::string_view key, const AttributeValue& value);

    /// All of both; where both have a key, `updating` wins, also with an empty value. Its schema URL wins if it has one.
    void merge(const Resource& updating);

    /// The text of a string attribute; empty when absent or of another type.
    [[nodiscard]] std::string_view text(std::string_view key) const noexcept;
    [[nodiscard]] bool contains(std::string_view key) const noexcept {
        return values_.find(key) != values_.end();
    }
    [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }

    /// The OTLP message Resource.
    [[nodiscard]] std::string encoded() const;

    std::string schema_url;

    /// What every resource has: `telemetry.sdk.*`, `service.name` (unknown_service:<executable>), a random
    /// `service.instance.id`, `host.name`, `host.arch`, `os.type`, `process.*`. What cannot be found out is left out.
    [[nodiscard]] static Resource detect();

private:
    struct Value {
        std::string field; // A KeyValue, with tag and length, ready for Resource.attributes.
        std::string text;  // Of a string value.
    };
    std::map<std::string, Value, std::less<>> values_;
};

} // namespace weft
