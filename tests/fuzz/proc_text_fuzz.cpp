// Input: a text of /proc, as any of its files. Claims: nothing crashes; what is read stands in the text as it is.
#include "proc_text.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool claim) {
    if (!claim) { std::abort(); }
}

// Leading zeros apart.
void require_in(std::string_view text, std::uint64_t value) {
    require(text.find(std::to_string(value)) != std::string_view::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weft::detail;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto stat = parse_process_stat(text)) {
        require_in(text, stat->threads);
        require_in(text, stat->start_ticks);
    }
    if (const auto pages = parse_statm(text)) {
        require_in(text, pages->total);
        require_in(text, pages->resident);
    }
    for (const auto* name : {"btime", "read_bytes", ""}) {
        if (const auto number = parse_named_number(text, name)) { require_in(text, *number); }
    }
    return 0;
}
