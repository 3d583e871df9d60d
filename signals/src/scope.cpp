#include "wire.hpp"

#include <weft/runtime/fork.hpp>
#include <weft/signals/scope.hpp>

#include <deque>
#include <limits>
#include <mutex>
#include <new>
#include <string>

namespace weft::detail {
namespace {

struct Entry {
    std::string message;
    std::string schema_url;
    const ForeignResource* resource = nullptr;

    [[nodiscard]] EncodedScope view() const noexcept { return {message, schema_url, resource}; }
};

struct Table {
    std::mutex mutex; // Guards entries; they are immutable once in, and a deque does not move them.
    std::deque<Entry> entries; // By index.
    std::deque<ForeignResource> resources;
    ScopeListener* listeners = nullptr;
};

// With the table's mutex. Nothing at the limit. Errors: std::bad_alloc.
std::optional<std::uint16_t> find_or_add(Table& scopes, Entry&& entry) {
    for (std::size_t i = 0; i < scopes.entries.size(); ++i) {
        const auto& known = scopes.entries[i];
        if (known.message == entry.message && known.schema_url == entry.schema_url &&
            known.resource == entry.resource) {
            return static_cast<std::uint16_t>(i);
        }
    }
    if (scopes.entries.size() > std::numeric_limits<std::uint16_t>::max()) { return std::nullopt; }
    scopes.entries.push_back(std::move(entry));
    const auto index = static_cast<std::uint16_t>(scopes.entries.size() - 1);
    const auto& added = scopes.entries.back();
    if (added.resource != nullptr) { return index; }
    for (auto* listener = scopes.listeners; listener != nullptr; listener = listener->next) {
        listener->told(listener->subject, index, added.view());
    }
    return index;
}

std::string encode(const InstrumentationScope& scope) {
    constexpr std::uint32_t bytes_max = 64 * 1024;
    constexpr std::uint32_t text_points_max = 4096; // Of up to 4 bytes: both texts always fit.
    wire::Buffer buffer;
    buffer.reset(nullptr, 0, bytes_max);
    if (!scope.name.empty()) { buffer.put_text_field(0x0a, scope.name, text_points_max); }
    if (!scope.version.empty()) { buffer.put_text_field(0x12, scope.version, text_points_max); }
    if (buffer.failed()) { // No memory: half a field is worse than none.
        buffer.release();
        throw std::bad_alloc();
    }
    const auto discarded = wire::put_attributes(buffer, 0x1a, scope.attributes, 128, {});
    if (discarded != 0) { buffer.put_varint_field(0x20, discarded); }
    std::string message(buffer.data() == nullptr ? "" : buffer.data(), buffer.size());
    buffer.release();
    return message;
}

// Never destroyed: spans may end in static destructors.
Table& table() {
    static Table& instance = *[] {
        auto* made = new Table;
        made->entries.push_back({encode({.name = "weft", .version = WEFT_VERSION}), {}, nullptr});
        return made;
    }();
    return instance;
}

// By way of table(), so that no child inherits one that is half made.
void lock_table(void*) noexcept { table().mutex.lock(); }
void unlock_table(void*) noexcept { table().mutex.unlock(); }
[[maybe_unused]] ForkGuard at_fork{
    {ForkOrder::table, nullptr, lock_table, unlock_table, unlock_table}};

} // namespace

std::uint16_t register_scope(const InstrumentationScope& scope) noexcept {
    try {
        Entry entry{encode(scope), std::string(scope.schema_url), nullptr};
        Table& scopes = table();
        const std::lock_guard lock(scopes.mutex);
        return find_or_add(scopes, std::move(entry)).value_or(0);
    } catch (...) { // No memory: the telemetry is worth more than its label.
        return 0;
    }
}

EncodedScope encoded_scope(std::uint16_t index) {
    Table& scopes = table();
    const std::lock_guard lock(scopes.mutex);
    if (index >= scopes.entries.size()) { return {}; }
    return scopes.entries[index].view();
}

std::optional<std::uint16_t> register_foreign_scope(
    std::string_view message, std::string_view schema_url, const ForeignResource& resource) {
    Entry entry{std::string(message), std::string(schema_url), &resource};
    Table& scopes = table();
    const std::lock_guard lock(scopes.mutex);
    return find_or_add(scopes, std::move(entry));
}

const ForeignResource& keep_foreign_resource(const ForeignResource& resource) {
    Table& scopes = table();
    const std::lock_guard lock(scopes.mutex);
    for (const auto& known : scopes.resources) {
        if (known.message == resource.message && known.schema_url == resource.schema_url) {
            return known;
        }
    }
    return scopes.resources.emplace_back(resource);
}

void forget_scope_listener(ScopeListener& listener) noexcept {
    if (!listener.is_listed) { return; }
    Table& scopes = table();
    const std::lock_guard lock(scopes.mutex);
    for (auto** link = &scopes.listeners; *link != nullptr; link = &(*link)->next) {
        if (*link != &listener) { continue; }
        *link = listener.next;
        break;
    }
    listener.is_listed = false;
}

void listen_to_scopes(ScopeListener& listener) {
    Table& scopes = table();
    const std::lock_guard lock(scopes.mutex);
    if (!listener.is_listed) {
        listener.next = scopes.listeners;
        scopes.listeners = &listener;
        listener.is_listed = true;
    }
    for (std::size_t i = 0; i < scopes.entries.size(); ++i) {
        const auto& entry = scopes.entries[i];
        if (entry.resource == nullptr) {
            listener.told(listener.subject, static_cast<std::uint16_t>(i), entry.view());
        }
    }
}

} // namespace weft::detail
