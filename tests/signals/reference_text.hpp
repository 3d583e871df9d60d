#pragma once
// What text must look like in OTLP, by the Encoding Standard's UTF-8 decoder, one byte at a time
// and slow.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::testing {

/// The code points of `text`, each as its bytes; U+FFFD for every maximal part that is not UTF-8.
/// Source: WHATWG Encoding Standard, "UTF-8 decoder".
[[nodiscard]] inline std::vector<std::string> reference_code_points(std::string_view text) {
    std::vector<std::string> points;
    std::string part;
    unsigned needed = 0;
    unsigned lower = 0x80;
    unsigned upper = 0xbf;
    const auto bad = [&] {
        points.emplace_back("\xEF\xBF\xBD");
        part.clear();
        needed = 0;
        lower = 0x80;
        upper = 0xbf;
    };
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (needed == 0) {
            ++i;
            part.assign(1, static_cast<char>(byte));
            if (byte <= 0x7f) {
                points.push_back(part);
            } else if (byte >= 0xc2 && byte <= 0xdf) {
                needed = 1;
            } else if (byte >= 0xe0 && byte <= 0xef) {
                needed = 2;
                if (byte == 0xe0) { lower = 0xa0; }
                if (byte == 0xed) { upper = 0x9f; }
            } else if (byte >= 0xf0 && byte <= 0xf4) {
                needed = 3;
                if (byte == 0xf0) { lower = 0x90; }
                if (byte == 0xf4) { upper = 0x8f; }
            } else {
                bad();
            }
        } else if (byte < lower || byte > upper) {
            bad(); // The byte is looked at again, as a beginning.
        } else {
            ++i;
            lower = 0x80;
            upper = 0xbf;
            part.push_back(static_cast<char>(byte));
            if (--needed == 0) { points.push_back(part); }
        }
    }
    if (needed != 0) { bad(); }
    return points;
}

[[nodiscard]] inline std::string reference_text(
    std::string_view text, std::uint32_t code_points_max = ~0U) {
    std::string out;
    std::uint32_t count = 0;
    for (const auto& point : reference_code_points(text)) {
        if (count++ == code_points_max) { break; }
        out += point;
    }
    return out;
}

} // namespace weft::testing
