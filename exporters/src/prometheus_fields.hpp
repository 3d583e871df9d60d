#pragma once
// Reads what a scraper sends: the items of Accept and Accept-Encoding, query strings. Any bytes may
// come in; nothing here throws for them.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

/// One item of a comma-separated header: `name;a=b;q=0.5`. Lifetime: of the header.
struct FieldItem {
    std::string_view name;       ///< Trimmed.
    std::string_view parameters; ///< Behind the first ';'.

    /// The value of a parameter without its quotes; empty if there is none.
    [[nodiscard]] std::string_view parameter(std::string_view name_wanted) const noexcept;
    /// The weight in thousandths: 1000 without a `q`, 0 for one that cannot be read.
    /// Source: RFC 9110, "Quality Values".
    [[nodiscard]] int quality() const noexcept;
};

/// Takes the first item off `rest`. Commas and semicolons inside of quotes do not separate.
[[nodiscard]] FieldItem next_item(std::string_view& rest) noexcept;

/// The path of a request target, without a query; also of the absolute form.
[[nodiscard]] std::string_view path_of(std::string_view target) noexcept;

/// The values of all `name[]` in the query, decoded. Nullopt: a broken percent sequence, or more than `names_max`.
[[nodiscard]] std::optional<std::vector<std::string>> names_in_query(
    std::string_view target, std::size_t names_max);

/// How long the scraper waits, of X-Prometheus-Scrape-Timeout-Seconds. Nullopt: nothing that is one; more than an hour
/// is taken for an hour.
[[nodiscard]] std::optional<std::chrono::milliseconds> scrape_timeout(
    std::string_view text) noexcept;

} // namespace weft::detail
