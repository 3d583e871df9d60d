#pragma once
// Baggage with one header an entry, the name behind a prefix: Jaeger's "uberctx-name", OT's "ot-baggage-name".
#include <weft/propagation/carrier.hpp>
#include <weft/propagation/faults.hpp>
#include <weft/runtime/baggage.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft::detail {

enum class ValueCoding : std::uint8_t {
    percent, ///< Percent-encoded UTF-8; a plus sign is read as a space, as HTML forms have it.
    plain,   ///< As it is, so that only printable ASCII can be sent.
};

/// Collects entries from such headers. As `w3c::BaggageParser`, and as large.
class PrefixedEntries {
public:
    explicit PrefixedEntries(const Baggage& given) noexcept : entries_(given) {}
    void add(std::string_view name, std::string_view value, ValueCoding coding) noexcept;
    /// Of a comma-separated list of name=value.
    void add_list(std::string_view list, ValueCoding coding) noexcept;
    /// Counts what was left out.
    [[nodiscard]] Baggage finish() const noexcept;

private:
    std::size_t dropped_ = 0;
    BaggageBuilder entries_;
};

/// One entry as a header. Its name has to be a token of at most `name_chars_max`, and its value has to fit.
class PrefixedHeader {
public:
    static constexpr std::size_t prefix_chars_max = 16;
    static constexpr std::size_t name_chars_max = 256;

    // The arrays are left uninitialised on purpose.
    PrefixedHeader() noexcept {} // NOLINT(modernize-use-equals-default)

    /// False if the entry cannot be sent in this way.
    [[nodiscard]] bool assign(
        std::string_view prefix, const Baggage::Entry& entry, ValueCoding coding) noexcept;
    [[nodiscard]] std::string_view name() const noexcept { return {name_.data(), name_chars_}; }
    [[nodiscard]] std::string_view value() const noexcept { return {value_.data(), value_chars_}; }

private:
    std::size_t name_chars_ = 0;
    std::size_t value_chars_ = 0;
    std::array<char, prefix_chars_max + name_chars_max> name_;
    std::array<char, Baggage::bytes_max> value_;
};

/// What follows the prefix, in any letter case; empty if `name` is another header's.
[[nodiscard]] inline std::string_view behind_prefix(
    std::string_view name, std::string_view prefix) noexcept {
    if (name.size() <= prefix.size()) { return {}; }
    if (!carrier::same_name(name.substr(0, prefix.size()), prefix)) { return {}; }
    return name.substr(prefix.size());
}

/// True if a field's name begins with the prefix. A carrier that cannot enumerate its fields has none.
template <class Carrier>
[[nodiscard]] bool has_prefixed(const Carrier& carrier, std::string_view prefix) {
    bool found = false;
    if constexpr (carrier::Enumerable<Carrier>) {
        carrier::for_each_field(carrier, [&](std::string_view name, std::string_view) {
            found = found || !behind_prefix(name, prefix).empty();
        });
    }
    return found;
}

template <class Carrier>
void add_prefixed(
    PrefixedEntries& entries, const Carrier& carrier, std::string_view prefix, ValueCoding coding) {
    if constexpr (carrier::Enumerable<Carrier>) {
        carrier::for_each_field(carrier, [&](std::string_view name, std::string_view value) {
            const auto key = behind_prefix(name, prefix);
            if (!key.empty()) { entries.add(key, value, coding); }
        });
    }
}

template <class Carrier>
[[gnu::noinline]] void inject_prefixed(
    const Baggage& baggage, Carrier& carrier, std::string_view prefix, ValueCoding coding) {
    std::uint64_t dropped = 0;
    PrefixedHeader header;
    for (const auto entry : baggage) {
        if (header.assign(prefix, entry, coding)) {
            carrier::set(carrier, header.name(), header.value());
        } else {
            ++dropped;
        }
    }
    count_fault(FaultyHeader::baggage, dropped);
}

} // namespace weft::detail
