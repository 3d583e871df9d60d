#pragma once
// What the commands of `weft spool` share.

#include "options.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weft::cli {

/// As parse(), for `DIR [options]`.
[[nodiscard]] std::optional<int> parse_with_directory(
    const Usage& usage, std::span<const char* const> arguments, std::string& directory);

/// Says so on stderr; what to exit with.
[[nodiscard]] int no_spool(std::string_view command, std::string_view directory);

[[nodiscard]] int replay_spool(std::span<const char* const> arguments);

} // namespace weft::cli
