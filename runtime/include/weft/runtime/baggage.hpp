#pragma once
// Baggage: name and value pairs that the application sends along with a request, for every service it reaches.
//
// One immutable block that all copies share:  holders | count | places | name value metadata name value metadata ...
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

namespace weft {

namespace detail {
// Where an entry's three texts lie, one behind the other. 16 bits: Baggage::bytes_max is below.
struct BaggagePlace {
    std::uint16_t at;
    std::uint16_t name_bytes;
    std::uint16_t value_bytes;
    std::uint16_t metadata_bytes;
    [[nodiscard]] std::size_t bytes() const noexcept {
        return std::size_t{name_bytes} + value_bytes + metadata_bytes;
    }
};
} // namespace detail

/// Immutable pairs of name and value, one value a name; nearly always empty, and then one null pointer.
/// Shape: at most `entries_max` entries; names, values and metadata are at most `bytes_max` bytes together. Names are
/// not empty. Names and values are UTF-8 in any characters and case-sensitive; metadata is a string that the W3C format
/// carries behind the value and nobody here reads.
/// Anything in it is sent to every service the request reaches, third parties included: no secrets.
/// Threads: distinct objects, any. Cost: a copy is one atomic increment; a change is one allocation.
/// Source: OpenTelemetry Baggage API; W3C Baggage, "Limits".
class Baggage {
public:
    static constexpr std::size_t entries_max = 64;
    static constexpr std::size_t bytes_max = 8192;

    /// Lifetime: as long as a Baggage that shares the block.
    struct Entry {
        std::string_view name;
        std::string_view value;
        std::string_view metadata{};
        friend bool operator==(const Entry&, const Entry&) noexcept = default;
    };
    class const_iterator;

    Baggage() noexcept = default;
    Baggage(const Baggage& other) noexcept : block_(other.block_) { retain(); }
    Baggage(Baggage&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    Baggage& operator=(Baggage other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~Baggage() {
        if (block_ != nullptr) { release(); }
    }

    [[nodiscard]] bool empty() const noexcept { return block_ == nullptr; }
    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const noexcept;
    [[nodiscard]] std::optional<Entry> find(std::string_view name) const noexcept;
    /// All entries. Their order means nothing.
    [[nodiscard]] const_iterator begin() const noexcept;
    [[nodiscard]] const_iterator end() const noexcept;

    /// With this entry, in place of one of the same name. An empty name, and an entry that does not fit into the
    /// bounds or the memory, leave everything as it is and are counted in `refused`.
    [[nodiscard]] Baggage set(
        std::string_view name, std::string_view value,
        std::string_view metadata = {}) const noexcept;
    [[nodiscard]] Baggage remove(std::string_view name) const noexcept;
    [[nodiscard]] Baggage clear() const noexcept { return {}; }

    /// Entries that `set` refused, or that were lost for want of memory, since the start of the process. Threads: any.
    [[nodiscard]] static std::uint64_t refused() noexcept;

    /// The same entries, in any order.
    friend bool operator==(const Baggage& a, const Baggage& b) noexcept;

private:
    friend class BaggageBuilder;
    struct Block;
    void retain() const noexcept;
    void release() noexcept;
    [[nodiscard]] Entry at(std::size_t index) const noexcept;

    Block* block_ = nullptr;
};

class Baggage::const_iterator {
public:
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = Entry;
    using pointer = void;

    const_iterator() noexcept = default;
    const_iterator(const Baggage* baggage, std::size_t index) noexcept
        : baggage_(baggage), index_(index) {}
    Entry operator*() const noexcept { return baggage_->at(index_); }
    const_iterator& operator++() noexcept {
        ++index_;
        return *this;
    }
    const_iterator operator++(int) noexcept {
        auto before = *this;
        ++index_;
        return before;
    }
    friend bool operator==(const const_iterator&, const const_iterator&) noexcept = default;

private:
    const Baggage* baggage_ = nullptr;
    std::size_t index_ = 0;
};

inline Baggage::const_iterator Baggage::begin() const noexcept { return {this, 0}; }
inline Baggage::const_iterator Baggage::end() const noexcept { return {this, size()}; }

/// Several changes for one allocation. It lies on the stack: 8.5 KiB.
/// Lifetime: texts are copied before a call returns. Threads: one at a time.
class BaggageBuilder {
public:
    // The arrays are left uninitialised on purpose.
    BaggageBuilder() noexcept {} // NOLINT(modernize-use-equals-default)
    explicit BaggageBuilder(const Baggage& from) noexcept;

    /// False, and nothing changed, for an empty name and where a bound would be passed.
    [[nodiscard]] bool set(
        std::string_view name, std::string_view value, std::string_view metadata = {}) noexcept;
    /// False if there is no such entry.
    bool remove(std::string_view name) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    /// Empty when there is no memory, too; then the entries are counted in `Baggage::refused`.
    [[nodiscard]] Baggage build() const noexcept;

private:
    [[nodiscard]] std::size_t index_of(std::string_view name) const noexcept;
    void erase(std::size_t index) noexcept;
    void append(std::string_view text) noexcept;

    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
    std::array<detail::BaggagePlace, Baggage::entries_max> place_;
    std::array<char, Baggage::bytes_max> text_;
};

} // namespace weft
