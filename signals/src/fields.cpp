#include "wire.hpp"

#include <weft/signals/fields.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

namespace weft {
namespace detail {
namespace {

constexpr char tag_attribute = 0x32;        // LogRecord.attributes. Source: OTLP schema, logs.v1.
constexpr char fields_key = 0;              // Its address is the key in the context.
constexpr std::uint32_t stack_bytes = 1024; // Enough for the fields of most scopes.
constexpr wire::ValueLimits value_limits{}; // A span's defaults.

std::uint32_t read_length(const std::byte*& p) noexcept {
    std::uint32_t value = 0;
    for (int shift = 0;; shift += 7) { // Bound: our own encoding, five bytes at most.
        const auto byte = std::to_integer<std::uint32_t>(*p++);
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) { return value; }
    }
}

} // namespace

EncodedLogField take_field(std::span<const std::byte>& bytes) noexcept {
    const std::byte* p = bytes.data() + 1; // Behind the tag.
    const auto length = read_length(p);
    const std::byte* const end = p + length;
    ++p; // KeyValue.key comes first, always.
    const auto key_length = read_length(p);
    EncodedLogField field;
    field.key = {reinterpret_cast<const char*>(p), key_length};
    p += key_length + 1;
    const auto value_length = read_length(p);
    field.value = {p, value_length};
    field.whole = bytes.first(static_cast<std::size_t>(end - bytes.data()));
    bytes = bytes.subspan(field.whole.size());
    return field;
}

namespace {

// The late fields of one request: a list that only grows. Written by any chain of the request, read by any.
struct LateFields {
    std::atomic<LateField*> newest{nullptr}; // See E1.
    // relaxed throughout: bounds and statistics, which order nothing.
    std::atomic<std::uint32_t> count{0};
    std::atomic<std::uint32_t> dropped{0};

    LateFields() = default;
    LateFields(const LateFields&) = delete;
    LateFields& operator=(const LateFields&) = delete;
    ~LateFields() {
        // relaxed: the last holder, after all others (the reference count orders them).
        const LateField* field = newest.load(std::memory_order_relaxed);
        while (field != nullptr) { // Bound: FieldLimits::late_count.
            const LateField* older = field->older;
            std::free(const_cast<LateField*>(field));
            field = older;
        }
    }

    bool discard() noexcept {
        dropped.fetch_add(1, std::memory_order_relaxed); // See count.
        return false;
    }

    bool add(const wire::Buffer& encoded) noexcept {
        // relaxed: see count.
        if (count.fetch_add(1, std::memory_order_relaxed) >= FieldLimits::late_count) {
            count.fetch_sub(1, std::memory_order_relaxed); // See count.
            return discard();
        }
        void* place = std::malloc(sizeof(LateField) + encoded.size());
        if (place == nullptr) { return discard(); }
        auto* field = new (place) LateField{nullptr, encoded.size()};
        std::memcpy(field + 1, encoded.data(), encoded.size());
        // relaxed: what is expected is only compared, and read by nobody before the exchange below.
        LateField* before = newest.load(std::memory_order_relaxed);
        do { // Bound: a turn is lost to another field only, of which there are late_count.
            field->older = before;
            // E1: release. Acquire as well: the list is then handed on whole. relaxed: see above.
        } while (!newest.compare_exchange_weak(
            before, field, std::memory_order_acq_rel, std::memory_order_relaxed));
        return true;
    }
};

} // namespace

/// The fields that scopes have set so far, and the request's late ones. Immutable but for those.
struct FieldScope {
    std::string bytes;        // The request's own, then those of inner scopes; each key once.
    std::size_t inner_at = 0; // Where the latter begin.
    std::uint32_t count = 0;
    std::uint32_t dropped = 0;
    std::shared_ptr<LateFields> late;
};

namespace {

std::shared_ptr<const FieldScope> current_scope() noexcept {
    return std::static_pointer_cast<const FieldScope>(current_entry(&fields_key));
}

std::span<const std::byte> bytes_of(const std::string& text) noexcept {
    return std::as_bytes(std::span(text));
}
std::span<const std::byte> bytes_of(const wire::Buffer& buffer) noexcept {
    return std::as_bytes(std::span(buffer.data(), buffer.size()));
}

bool has_key(std::span<const std::byte> fields, std::string_view key) noexcept {
    while (!fields.empty()) { // Ends: each turn takes one off.
        if (take_field(fields).key == key) { return true; }
    }
    return false;
}

// A scope under construction: adds fields that are encoded already.
struct Merge {
    FieldScope& scope;

    void add(const EncodedLogField& field) {
        if (scope.count >= FieldLimits::count ||
            scope.bytes.size() + field.whole.size() > FieldLimits::bytes) {
            ++scope.dropped;
            return;
        }
        scope.bytes.append(reinterpret_cast<const char*>(field.whole.data()), field.whole.size());
        ++scope.count;
    }
    // Those of `fields` whose keys are not among `hiding`.
    void add_all(std::span<const std::byte> fields, std::span<const std::byte> hiding) {
        while (!fields.empty()) { // Ends: each turn takes one off.
            const auto field = take_field(fields);
            if (!has_key(hiding, field.key)) { add(field); }
        }
    }
};

// `added` over what the context has now, as one flat layer: a new request's.
void begin_request(Merge merge, const Fields& around, std::span<const std::byte> added) {
    around.for_each_block([&](std::span<const std::byte> block) { merge.add_all(block, added); });
    merge.add_all(added, {});
    merge.scope.inner_at = merge.scope.bytes.size();
    merge.scope.late = std::make_shared<LateFields>();
}

// `added` over the layers of `outer`, whose late fields it shares.
void go_inside(Merge merge, const FieldScope& outer, std::span<const std::byte> added) {
    const auto layers = bytes_of(outer.bytes);
    merge.add_all(layers.first(outer.inner_at), added);
    merge.scope.inner_at = merge.scope.bytes.size();
    merge.add_all(layers.subspan(outer.inner_at), added);
    merge.add_all(added, {});
    merge.scope.late = outer.late;
}

ContextScope set_fields(std::span<const Attribute> fields, bool new_request) noexcept {
    char storage[stack_bytes];
    wire::Buffer encoded;
    encoded.reset(storage, stack_bytes, FieldLimits::bytes);
    const auto discarded =
        wire::put_attributes(encoded, tag_attribute, fields, FieldLimits::count, value_limits);
    std::shared_ptr<const FieldScope> scope;
    try {
        auto made = std::make_shared<FieldScope>();
        const auto outer = current_scope();
        made->dropped = discarded + (outer ? outer->dropped : 0);
        if (outer && !new_request) {
            go_inside({*made}, *outer, bytes_of(encoded));
        } else {
            begin_request({*made}, current_fields(), bytes_of(encoded));
        }
        scope = std::move(made);
    } catch (...) {} // No memory: nothing is set.
    encoded.release();
    const void* const key = scope ? &fields_key : nullptr;
    return with_entry(key, std::move(scope));
}

} // namespace
} // namespace detail

std::span<const std::byte> Fields::scoped() const noexcept {
    return scope_ ? detail::bytes_of(scope_->bytes) : std::span<const std::byte>();
}

std::size_t Fields::inner_at() const noexcept { return scope_ ? scope_->inner_at : 0; }

bool Fields::empty() const noexcept { return late_ == nullptr && scoped().empty(); }

std::uint32_t Fields::dropped() const noexcept {
    // relaxed: see LateFields::count.
    return scope_ ? scope_->dropped + scope_->late->dropped.load(std::memory_order_relaxed) : 0;
}

bool Fields::has_late(std::string_view key) const noexcept {
    for (const auto* late = late_; late != nullptr; late = late->older) {
        std::span<const std::byte> bytes(late->bytes(), late->size);
        if (detail::take_field(bytes).key == key) { return true; }
    }
    return false;
}

bool Fields::is_hidden(const detail::LateField& late, std::string_view key) const noexcept {
    for (const auto* newer = late_; newer != &late; newer = newer->older) {
        std::span<const std::byte> bytes(newer->bytes(), newer->size);
        if (detail::take_field(bytes).key == key) { return true; }
    }
    return detail::has_key(scoped().subspan(inner_at()), key);
}

ContextScope with_request_fields(std::span<const Attribute> fields) noexcept {
    return detail::set_fields(fields, true);
}

ContextScope with_fields(std::span<const Attribute> fields) noexcept {
    return detail::set_fields(fields, false);
}

bool add_field(std::string_view key, const AttributeValue& value) noexcept {
    const auto scope = detail::current_scope();
    if (!scope) { return false; }
    char storage[detail::stack_bytes];
    detail::wire::Buffer encoded;
    encoded.reset(storage, detail::stack_bytes, FieldLimits::late_bytes);
    const bool fits = detail::wire::put_attribute(
        encoded, detail::tag_attribute, key, value, detail::value_limits);
    const bool added = fits ? scope->late->add(encoded) : scope->late->discard();
    encoded.release();
    return added;
}

Fields current_fields() noexcept {
    Fields fields;
    fields.scope_ = detail::current_scope();
    if (fields.scope_) {
        fields.late_ = fields.scope_->late->newest.load(std::memory_order_acquire); // E1
    }
    return fields;
}

} // namespace weft
