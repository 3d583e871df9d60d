#pragma once
// What anybody may read of a span while its owner works on it, for open_spans().
//
// A record is recycled at any moment, and its owner must neither wait for a reader nor pay for one that is not there. So
// the few fields that a listing needs are kept once more, in atomics beside a version, as in a sequence lock:
//
//   version_   life << 32 | renames << 2 | state     life: how often the record was opened; state: closed, open, renaming
//
// I1  Only the owner writes. Fields other than the name are written once per life.
// I2  A reader that finds the same version before and after its copy has the fields of that life. One that finds only
//     the renames or the state changed, and the span open, has them too, except for the name.
// S1  open() stores the version last (release) -> read() loads it first (acquire): the fields are this life's or newer.
// S2  open() and rename() store each field (release) after the version has left its old value -> read() loads each field
//     (acquire) before it loads the version again: who saw a newer field sees a newer version.
// No fences, which ThreadSanitizer does not know; on x86 all of these are plain moves.

#include <weft/runtime/span_context.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <string_view>

namespace weft::detail {

class Shown {
public:
    static constexpr std::size_t name_bytes = 64; // Of the name as encoded: its length, then text.

    struct Fields {
        const SpanContext& span;
        const SpanId& parent_span_id;
        std::int64_t start_ns; // Steady time.
        std::source_location where;
        std::uint16_t scope;
        std::uint8_t kind;
        bool is_operation;
    };
    struct Copy {
        TraceId trace_id;
        SpanId span_id;
        SpanId parent_span_id;
        std::int64_t start_ns = 0;
        std::source_location where;
        std::uint16_t scope = 0;
        std::uint8_t kind = 0;
        bool is_operation = false;
        char name[name_bytes] = {}; // All zero where it could not be had: an empty name.
    };

    /// `name` is the name's length and text as encoded; `name_bytes` of it are readable, though they may mean nothing.
    void open(const Fields& fields, const char* name, std::size_t size) noexcept {
        store(trace_id_[0], word_at(fields.span.trace_id.bytes.data()));
        store(trace_id_[1], word_at(fields.span.trace_id.bytes.data() + 8));
        store(span_id_, word_at(fields.span.span_id.bytes.data()));
        store(parent_span_id_, word_at(fields.parent_span_id.bytes.data()));
        store(start_ns_, fields.start_ns);
        store(where_, fields.where);
        store(
            rest_, std::uint32_t{fields.scope} << 16 | std::uint32_t{fields.kind} << 8 |
                       static_cast<std::uint32_t>(fields.is_operation));
        store_name(name, size);
        version_.store(
            ((own_version() >> 32) + 1) << 32 | is_open, std::memory_order_release); // S1
    }

    /// As above, but any `size` bytes are readable, and no more.
    void rename(const char* name, std::size_t size) noexcept {
        const auto before = own_version();
        if ((before & is_open) == 0) { return; }
        char text[name_bytes] = {};
        std::memcpy(text, name, std::min(size, name_bytes));
        const auto renames = static_cast<std::uint32_t>(before) + renamed_once;
        const auto after = (before & ~std::uint64_t{0xffffffff}) | renames;
        version_.store(before | is_renaming, std::memory_order_relaxed); // relaxed: see S2.
        store_name(text, size);
        version_.store(after, std::memory_order_release); // S1
    }

    void close() noexcept {
        version_.store(
            own_version() & ~std::uint64_t{is_open | is_renaming},
            std::memory_order_relaxed); // relaxed: see S2.
    }

    [[nodiscard]] bool is_open_now() const noexcept {
        return (version_.load(std::memory_order_relaxed) & is_open) != 0; // A hint; read() decides.
    }

    /// For any thread. False if the span is not open. A name that changes all the while is left empty.
    /// `read_more` is called for what else belongs to this life; what it reads must be ordered as S2 says.
    template <class ReadMore>
    [[nodiscard]] bool read(Copy& copy, ReadMore&& read_more) const noexcept {
        constexpr int attempts_max = 16;
        for (int attempt = 0; attempt < attempts_max; ++attempt) {
            const auto before = version_.load(std::memory_order_acquire); // S1
            if ((before & is_open) == 0) { return false; }
            load_all(copy);
            read_more();
            const auto after = version_.load(std::memory_order_relaxed); // S2 orders it.
            if (after == before && (before & is_renaming) == 0) { return true; }
            if (after >> 32 != before >> 32 || (after & is_open) == 0) { return false; } // Over.
        }
        copy.name[0] = 0;
        return true;
    }

private:
    enum State : std::uint32_t { is_open = 1, is_renaming = 2, renamed_once = 4 };

    template <class T>
    static void store(std::atomic<T>& field, T value) noexcept {
        field.store(value, std::memory_order_release); // S2
    }
    template <class T>
    static T load(const std::atomic<T>& field) noexcept {
        return field.load(std::memory_order_acquire); // S2
    }
    static std::uint64_t word_at(const void* bytes) noexcept {
        std::uint64_t word;
        std::memcpy(&word, bytes, sizeof word);
        return word;
    }
    [[nodiscard]] std::uint64_t own_version() const noexcept {
        return version_.load(std::memory_order_relaxed); // I1
    }
    void store_name(const char* name, std::size_t size) noexcept {
        store(name_[0], word_at(name));
        for (std::size_t i = 1; i < name_bytes / 8 && i * 8 < size; ++i) {
            store(name_[i], word_at(name + i * 8));
        }
    }
    void load_all(Copy& copy) const noexcept {
        const std::uint64_t ids[] = {
            load(trace_id_[0]), load(trace_id_[1]), load(span_id_), load(parent_span_id_)};
        std::memcpy(copy.trace_id.bytes.data(), ids, 16);
        std::memcpy(copy.span_id.bytes.data(), ids + 2, 8);
        std::memcpy(copy.parent_span_id.bytes.data(), ids + 3, 8);
        copy.start_ns = load(start_ns_);
        copy.where = load(where_);
        const auto rest = load(rest_);
        copy.scope = static_cast<std::uint16_t>(rest >> 16);
        copy.kind = static_cast<std::uint8_t>(rest >> 8);
        copy.is_operation = (rest & 1) != 0;
        for (std::size_t i = 0; i < name_bytes / 8; ++i) {
            const auto word = load(name_[i]);
            std::memcpy(copy.name + i * 8, &word, sizeof word);
        }
    }

    // All written by the owner and read by any thread.
    std::atomic<std::uint64_t> version_{0};
    std::atomic<std::uint64_t> trace_id_[2]{};
    std::atomic<std::uint64_t> span_id_{0};
    std::atomic<std::uint64_t> parent_span_id_{0};
    std::atomic<std::int64_t> start_ns_{0};
    std::atomic<std::source_location> where_{};
    std::atomic<std::uint32_t> rest_{0}; // Scope, kind, whether it is an operation.
    std::atomic<std::uint64_t> name_[name_bytes / 8]{};
};

} // namespace weft::detail
