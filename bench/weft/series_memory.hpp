#pragma once
#include <string_view>

namespace weft::bench {

/// First argument of the program when it is to measure memory and nothing else; `print_series_memory` has the others.
inline constexpr std::string_view series_memory_option = "--series-memory";

/// Prints the bytes of a series of that kind, recorded by so many threads. Returns the exit status.
int print_series_memory(std::string_view kind, std::string_view threads);

} // namespace weft::bench
