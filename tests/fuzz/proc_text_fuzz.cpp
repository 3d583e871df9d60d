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
    if (const auto cpu = parse_cpu_times(text)) {
        for (const auto value : {cpu->user, cpu->nice, cpu->system, cpu->idle, cpu->iowait}) {
            require_in(text, value);
        }
        require(cpu->cpus != 0 && cpu->cpus < size);
    }
    if (const auto memory = parse_memory(text)) {
        for (const auto value : {memory->total, memory->free, memory->buffers, memory->cached}) {
            require_in(text, value);
        }
        if (memory->available) { require_in(text, *memory->available); }
    }
    auto rest = text;
    while (const auto one = next_interface(rest)) {
        require(!one->name.empty() && text.find(one->name) != std::string_view::npos);
        for (const auto& direction : {one->received, one->sent}) {
            require_in(text, direction.bytes);
            require_in(text, direction.errors);
            require_in(text, direction.dropped);
        }
        require(rest.size() < size);
    }
    for (const auto* name : {"btime", "read_bytes", ""}) {
        if (const auto number = parse_named_number(text, name)) { require_in(text, *number); }
    }
    return 0;
}
