#pragma once
#include <weft/signals/sampler.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace weft::detail {

/// Sampling rules as text: `CONDITIONS -> SAMPLER; ...`, the first that applies decides, and what none names is kept.
/// CONDITIONS: `*`, or `key=pattern` joined by commas, where key is `name`, `kind` (internal, server, client, producer,
/// consumer) or an attribute's key. SAMPLER: `on`, `off`, a ratio, `adaptive(N)`, `rate_limit(N)` with N per second.
/// Errors: null, and `problem` says which rule and what about it.
[[nodiscard]] std::optional<Sampler> parse_sampling_rules(
    std::string_view text, std::string& problem);

} // namespace weft::detail
