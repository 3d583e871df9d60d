#pragma once
#include <cstddef>
#include <string_view>

namespace weft::detail {

/// Whether the text is what the pattern says: `*` stands for any text, `?` for one character.
/// Cost: at most pattern times text; no recursion.
[[nodiscard]] inline bool matches(std::string_view pattern, std::string_view text) noexcept {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos; // The last one passed, and where its text began.
    std::size_t star_text = 0;
    while (t < text.size()) { // Bound: t only goes back to one more than star_text, which grows.
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') { ++p; }
    return p == pattern.size();
}

} // namespace weft::detail
