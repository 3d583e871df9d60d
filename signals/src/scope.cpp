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
};

struct Table {
    std::mutex mutex; // Guards entries; they are immutable once in, and a deque does not move them.
    std::deque<Entry> entries; // By index.
};

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
        made->entries.push_back({encode({.name = "weft", .version = WEFT_VERSION}), {}});
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
        Entry entry{encode(scope), std::string(scope.schema_url)};
        Table& scopes = table();
        const std::lock_guard lock(scopes.mutex);
        for (std::size_t i = 0; i < scopes.entries.size(); ++i) {
            const auto& known = scopes.entries[i];
            if (known.message == entry.message && known.schema_url == entry.schema_url) {
                return static_cast<std::uint16_t>(i);
            }
        }
        if (scopes.entries.size() > std::numeric_limits<std::uint16_t>::max()) { return 0; }
        scopes.entries.push_back(std::move(entry));
        return static_cast<std::uint16_t>(scopes.entries.size() - 1);
    } catch (...) { // No memory: the telemetry is worth more than its label.
        return 0;
    }
}

EncodedScope encoded_scope(std::uint16_t index) {
    Table& scopes = table();
    const std::lock_guard lock(scopes.mutex);
    if (index >= scopes.entries.size()) { return {}; }
    const auto& entry = scopes.entries[index];
    return {entry.message, entry.schema_url};
}

} // namespace weft::detail
