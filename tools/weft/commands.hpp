#pragma once
#include <span>
#include <string_view>

namespace weft::cli {

/// A subcommand: gets the arguments after its name, returns the exit status.
struct Command {
    std::string_view name;
    std::string_view summary;
    int (*run)(std::span<const char* const> arguments);
};

[[nodiscard]] int doctor(std::span<const char* const> arguments);
[[nodiscard]] int receive(std::span<const char* const> arguments);
[[nodiscard]] int replay(std::span<const char* const> arguments);
[[nodiscard]] int ring(std::span<const char* const> arguments);
[[nodiscard]] int spool(std::span<const char* const> arguments);
[[nodiscard]] int tune(std::span<const char* const> arguments);

} // namespace weft::cli
